import type { Flag, Input } from './command.ts';

/** The flag by which a command prints for programs. */
export const FORMAT: Flag = {
  name: 'format',
  value: 'table|json',
  about: 'how to print it: for people, or for programs; "table" by default',
};

/** The same flag of a command that prints JSON in any case. */
export const JSON_FORMAT: Flag = {
  name: 'format',
  value: 'json',
  about: 'changes nothing: it is JSON in any case',
};

/** @throws Error for another format than the two */
export function wantsJson(input: Input): boolean {
  return chosen(input, ['table', 'json']) === 'json';
}

/** Takes `JSON_FORMAT`. @throws Error for another format */
export function checkJson(input: Input): void {
  chosen(input, ['json']);
}

function chosen(input: Input, formats: readonly string[]): string | undefined {
  const format = input.text('format');
  if (format === undefined || formats.includes(format)) return format;
  const hint = format.includes('{{')
    ? '; there are no templates: take a part of the JSON, as with jq'
    : '';
  throw new Error(`--format ${JSON.stringify(format)}: want ${formats.join(' or ')}${hint}`);
}

/** A value as it is printed for programs. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
