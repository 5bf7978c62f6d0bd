import type { DeviceRule } from '../../../schemas/runtime-config.ts';
import { type Property, property } from './properties.ts';

/** A rule's number that stands for all of them. */
const ALL = -1;
const LETTERS = 'rwm';

type Type = 'b' | 'c';

/** Devices that are allowed, and what may be done with them. */
interface Entry {
  readonly type: Type;
  readonly major: number;
  readonly minor: number;
  /** Some of the letters r, w and m. */
  readonly access: string;
}

/**
 * Device rules as properties of a unit. systemd makes a filter of its own of them, which it puts in
 * force beside that of scow, and again whenever it is told to reload: both must allow a request.
 * systemd has no rules that deny, and none for a minor number of all majors. What it cannot say
 * exactly it is told to allow, for scow's own filter denies it.
 *
 * @param rules in the order in which they apply
 */
export function deviceProperties(rules: readonly DeviceRule[]): Property[] {
  const entries = allowedBy(rules);
  const all = (['b', 'c'] as const).every((type) =>
    entries.some((one) => coversAll(one) && one.type === type && one.access === LETTERS),
  );
  const list = all ? [] : entries.map((entry) => [pathOf(entry), entry.access]);
  return [
    // An empty list first: others are added to what the unit has.
    property('DeviceAllow', 'a(ss)', []),
    property('DevicePolicy', 's', all ? 'auto' : 'strict'),
    ...(list.length === 0 ? [] : [property('DeviceAllow', 'a(ss)', list)]),
  ];
}

/** Nothing that the rules allow is missing; what a rule denies of a wider one stays in. */
function allowedBy(rules: readonly DeviceRule[]): Entry[] {
  let entries: Entry[] = [];
  for (const { allow, type = 'a', major = ALL, minor = ALL, access = '' } of rules) {
    const types = (['c', 'b'] as const).filter((one) => type === 'a' || type === one);
    for (const one of types) {
      const entry: Entry = { type: one, major, minor, access };
      entries = allow ? withMore(entries, entry) : entries.flatMap((old) => less(old, entry));
    }
  }
  return entries;
}

function withMore(entries: readonly Entry[], more: Entry): Entry[] {
  const same = entries.find((entry) => covers(entry, more) && covers(more, entry));
  const access = letters(
    (letter) => more.access.includes(letter) || (same?.access.includes(letter) ?? false),
  );
  return [...entries.filter((entry) => entry !== same), { ...more, access }];
}

function less(entry: Entry, denied: Entry): Entry[] {
  if (!covers(denied, entry)) return [entry];
  const access = letters(
    (letter) => entry.access.includes(letter) && !denied.access.includes(letter),
  );
  return access === '' ? [] : [{ ...entry, access }];
}

function letters(wanted: (letter: string) => boolean): string {
  return [...LETTERS].filter(wanted).join('');
}

function covers(wide: Entry, narrow: Entry): boolean {
  return (
    wide.type === narrow.type &&
    (wide.major === ALL || wide.major === narrow.major) &&
    (wide.minor === ALL || wide.minor === narrow.minor)
  );
}

function coversAll({ major, minor }: Entry): boolean {
  return major === ALL && minor === ALL;
}

/** systemd.resource-control(5), DeviceAllow. */
function pathOf({ type, major, minor }: Entry): string {
  const name = type === 'c' ? 'char' : 'block';
  if (major === ALL) return `${name}-*`;
  return minor === ALL ? `${name}-${major}` : `/dev/${name}/${major}:${minor}`;
}
