import { latin1, printable } from '../layers/names.ts';
import type { LayerEntry } from './entries.ts';

/** One way in which two archives differ, with the entries that it is seen in. */
export interface Cause {
  readonly cause: string;
  /** Entries, of which only the first are shown. */
  readonly count: number;
  readonly examples: readonly {
    readonly path: string;
    readonly first: string;
    readonly second: string;
  }[];
}

const NOTHING = 'nothing';

/** What is compared of entries that both have. Each gives a text that says it all. */
const ASPECTS: readonly (readonly [cause: string, aspect: (entry: LayerEntry) => string])[] = [
  ['type', ({ type }) => type],
  ['content', ({ size, content }) => `${size} bytes${content ? `, sha256:${content}` : ''}`],
  ['target of the link', ({ linkName }) => printable(linkName)],
  ['mode', ({ mode }) => mode.toString(8).padStart(4, '0')],
  ['owner', ({ uid, gid }) => `${uid}:${gid}`],
  ['time', timeOf],
  ['extended attributes', xattrsOf],
  ['device', ({ major, minor }) => `${major}:${minor}`],
];

/**
 * Compares two archives entry by entry.
 *
 * @param most how many examples to give of each cause
 * @returns nothing where the entries are the same, in the same order
 */
export function entryDifferences(
  first: readonly LayerEntry[],
  second: readonly LayerEntry[],
  most: number,
): Cause[] {
  const [ours, theirs] = [byName(first), byName(second)];
  const found = new Map<string, Cause['examples'][number][]>();
  const note = (cause: string, name: string, one: string, other: string) => {
    const examples = found.get(cause) ?? [];
    examples.push({ path: printable(Buffer.from(name, 'latin1')), first: one, second: other });
    found.set(cause, examples);
  };
  for (const [name, entry] of ours) {
    const other = theirs.get(name);
    if (other === undefined) note('only in the first', name, entry.type, NOTHING);
    else
      for (const [cause, aspect] of ASPECTS)
        if (aspect(entry) !== aspect(other)) note(cause, name, aspect(entry), aspect(other));
  }
  for (const [name, entry] of theirs)
    if (!ours.has(name)) note('only in the second', name, NOTHING, entry.type);
  noteOrder(
    first.map(nameOf).filter((name) => theirs.has(name)),
    second.map(nameOf).filter((name) => ours.has(name)),
    note,
  );
  return [...found].map(([cause, examples]) => ({
    cause,
    count: examples.length,
    examples: examples.slice(0, most),
  }));
}

/** Only the first entry tells: all that come after a new one stand elsewhere, too. */
function noteOrder(
  first: readonly string[],
  second: readonly string[],
  note: (cause: string, name: string, one: string, other: string) => void,
): void {
  const at = first.findIndex((name, i) => name !== second[i]);
  const [name, other] = [first[at], second[at]];
  if (name === undefined) {
    if (second.length > first.length)
      note('repeated entries', second[first.length] ?? '', 'once', 'again');
    return;
  }
  const place = second.indexOf(name);
  if (other === undefined) note('repeated entries', name, 'again', 'once');
  else note('order', name, `entry ${at + 1}`, `entry ${place + 1}`);
}

const nameOf = ({ name }: LayerEntry): string =>
  latin1(name)
    .replace(/^\.?\/+/, '')
    .replace(/\/+$/, '');

/** Of entries with one name the last counts. */
function byName(entries: readonly LayerEntry[]): Map<string, LayerEntry> {
  return new Map(entries.map((entry) => [nameOf(entry), entry]));
}

function timeOf({ mtime: { seconds, nanoseconds } }: LayerEntry): string {
  const whole = new Date(seconds * 1000);
  const text = Number.isNaN(whole.getTime()) ? String(seconds) : whole.toISOString().slice(0, 19);
  return nanoseconds === 0 ? `${text}Z` : `${text}.${String(nanoseconds).padStart(9, '0')}Z`;
}

function xattrsOf({ xattrs }: LayerEntry): string {
  const all = xattrs.map(({ name, value }) => `${printable(name)}=${printable(value)}`).sort();
  return all.length === 0 ? NOTHING : all.join(', ');
}
