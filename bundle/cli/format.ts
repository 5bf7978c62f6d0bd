import type { Flag, Input } from './command.ts';

/** The flag by which a command prints for programs. */
export const FORMAT: Flag = {
  name: 'format',
  value: 'table|json',
  about: 'how to print it: for people, or for programs; "table" by default',
};

/** @throws Error for another format than the two */
export function wantsJson(input: Input): boolean {
  const format = input.text('format') ?? 'table';
  if (format !== 'table' && format !== 'json')
    throw new Error(`--format ${JSON.stringify(format)}: want table or json`);
  return format === 'json';
}

/** A value as it is printed for programs. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
