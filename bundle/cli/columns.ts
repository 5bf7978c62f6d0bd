import { plain } from './output.ts';
import { size } from './progress.ts';

/**
 * A table for people: columns as wide as what is in them, three spaces apart.
 *
 * @param rows of the same number of texts; the first one has the headings
 */
export function columns(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((text) => plain(text).replaceAll('\n', ' ')));
  const length = (text: string) => [...text].length;
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((row) => length(row[column] ?? ''))),
  );
  const pad = (text: string, column: number) =>
    text + ' '.repeat((widths[column] as number) - length(text) + 3);
  return cells.map((row) => `${row.map(pad).join('').trimEnd()}\n`).join('');
}

/** The first digits of a digest, by which people know images. */
export function shortId(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}

/** A number of things for people: `1 layer`, `2 layers`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** A number of bytes, for people or exact. */
export function bytes(count: number, human: boolean): string {
  return human ? size(count) : String(count);
}

const SPANS = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', 7],
  ['week', 4.35],
  ['month', 12],
  ['year', Number.POSITIVE_INFINITY],
] as const;

/**
 * How long ago something was: `3 days ago`.
 *
 * @param time RFC 3339; undefined where nobody said
 * @param now milliseconds since 1970
 */
export function age(time: string | undefined, now = Date.now()): string {
  const then = Date.parse(time ?? '');
  if (Number.isNaN(then)) return 'unknown';
  let count = Math.max(0, (now - then) / 1000);
  for (const [unit, most] of SPANS) {
    if (count < most) {
      const whole = Math.floor(count);
      return whole === 1 ? `1 ${unit} ago` : `${whole} ${unit}s ago`;
    }
    count /= most;
  }
  return 'unknown';
}
