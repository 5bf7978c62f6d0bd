/** Reading JSON files that people write by hand, with integers of 64 bits. */

import { scanJson } from './scan-json.ts';

/** Text with an integer that a double could round; `JSON.parse` reads all other text exactly. */
const HAS_LONG_INTEGER = /[0-9]{16}/;

/**
 * Parses the text of a JSON file that holds an object. Integers beyond ±(2^53 - 1) become
 * bigints, so that they keep all their digits; all other values are as `JSON.parse` gives them.
 *
 * @param text the content; a byte order mark at its start is ignored
 * @param file how the user knows the file, such as its path: messages begin with it
 * @returns the object
 * @throws Error with one line: the file is empty, isn't JSON (with line and column), or holds
 *   something else than an object
 */
export function parseJson(text: string, file: string): unknown {
  const json = text.startsWith('\ufeff') ? text.slice(1) : text;
  if (json.trim() === '') throw new Error(`${file}: the file is empty; it must hold a JSON object`);
  const value = parse(json, file);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const found = Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`;
    throw new Error(`${file}: the file holds ${found}; it must hold a JSON object`);
  }
  return value;
}

function parse(json: string, file: string): unknown {
  if (!HAS_LONG_INTEGER.test(json)) {
    try {
      return JSON.parse(json);
    } catch {
      // The engines' messages differ and not all say where: the scanner finds out.
    }
  }
  const result = scanJson(json);
  if ('value' in result) return result.value;
  const before = json.slice(0, result.offset).split('\n');
  const place = `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
  throw new Error(`${file}: not JSON: ${place}: ${result.problem}`);
}
