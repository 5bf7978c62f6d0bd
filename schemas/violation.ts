/** What validation reports, and how it's shown. */

/** One place of a document that isn't as it must be. */
export interface Violation {
  /** JSON pointer (RFC 6901) of the place; empty for the document as a whole. */
  readonly pointer: string;
  /** What is there, shortened, or «missing». */
  readonly found: string;
  /** What is allowed there, in words. */
  readonly allowed: string;
}

const LONGEST_SHOWN = 80;

/** The JSON pointer made of `keys`, names of properties or indexes of arrays. */
export function pointerTo(...keys: readonly (string | number)[]): string {
  return keys.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** A short rendering of a JSON value, for messages; `undefined` is «missing». */
export function render(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value !== 'string') return String(value);
  const isLong = value.length > LONGEST_SHOWN;
  return JSON.stringify(isLong ? `${value.slice(0, LONGEST_SHOWN)}…` : value);
}

/** The first violation of each place: what more there is to say of one follows from the first. */
export function onePerPlace(violations: readonly Violation[]): Violation[] {
  const first = new Map<string, Violation>();
  for (const violation of violations) {
    if (!first.has(violation.pointer)) first.set(violation.pointer, violation);
  }
  return [...first.values()];
}

/**
 * The message about what is wrong with a document: one line for one violation; for more, a line
 * with their number and then a line each.
 *
 * @param file how the user knows the document, such as its path
 * @param violations at least one
 */
export function formatViolations(file: string, violations: readonly Violation[]): string {
  const lines = violations.map(({ pointer, found, allowed }) => {
    const place = pointer === '' ? 'the document' : pointer;
    return printable(`${place}: ${found}; allowed: ${allowed}`);
  });
  const name = printable(file);
  if (lines.length === 1) return `${name}: ${lines[0]}`;
  return [`${name}: ${lines.length} mistakes`, ...lines.map((line) => `  ${line}`)].join('\n');
}

/** Keys and values come from strangers: none of them may steer a terminal or add a line. */
function printable(text: string): string {
  return text.replace(/\p{Cc}|[\u2028\u2029]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
