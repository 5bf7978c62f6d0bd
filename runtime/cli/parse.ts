import type { Flag } from './flag.ts';

/** The values of flags, by name. */
export class Flags {
  readonly #values: Readonly<Values>;

  constructor(values: Readonly<Values>) {
    this.#values = values;
  }

  /** Whether a switch was given. */
  has(name: string): boolean {
    return this.#values[name] === true;
  }

  /** The value of a flag; undefined when it was not given, or is empty, which engines mean as not given. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  }

  /** The values of a flag that may be given more than once, in order. */
  all(name: string): readonly string[] {
    const values = this.#values[name];
    return Array.isArray(values) ? values : [];
  }

  /** The value of a flag that counts something. @throws Error when it is no number from 0 up */
  count(name: string): number {
    const text = this.text(name) ?? '0';
    if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} ${text}: give a number from 0 up`);
    return Number(text);
  }
}

/** What a command gets to see of the command line. */
export interface Input {
  readonly global: Flags;
  readonly flags: Flags;
  readonly positionals: readonly string[];
}

/** A command line, taken apart. */
export interface Parsed {
  readonly flags: Flags;
  /** What is no flag; after the first such argument everything, where flags must come first. */
  readonly rest: readonly string[];
}

/**
 * Reads flags off a command line. Engines are written for runtimes that use Go's flag package:
 * there `-name` is `--name`, a switch may have a value (`--detach=true`), a value may begin with
 * a dash, and of a flag that is given twice the last counts.
 *
 * @param flagsFirst the first argument that is no flag ends the flags
 * @throws Error for an unknown flag, a missing value or one that is not allowed
 */
export function parse(
  args: readonly string[],
  flags: readonly Flag[],
  { flagsFirst }: { flagsFirst: boolean },
): Parsed {
  const values: Values = {};
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    const [, name, given] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name === undefined) {
      if (arg === '--') return { flags: new Flags(values), rest: [...rest, ...args.slice(i + 1)] };
      if (flagsFirst) return { flags: new Flags(values), rest: args.slice(i) };
      rest.push(arg);
      continue;
    }
    const flag = flags.find((known) => known.name === name || known.short === name);
    if (flag === undefined) switchGroup(name, flags, values);
    else if (flag.value === undefined) values[flag.name] = switched(flag, given);
    else keep(flag, given ?? args[++i], values);
  }
  return { flags: new Flags(values), rest };
}

type Values = Record<string, boolean | string | string[]>;

/** Turns on what a word of switches' letters, `-dk`, is made of. Any other word is a long name, as Go has it. */
function switchGroup(word: string, flags: readonly Flag[], values: Values): void {
  const group = [...word].map((letter) =>
    flags.find(({ short, value }) => short === letter && value === undefined),
  );
  for (const flag of group) {
    if (flag === undefined) throw new Error(`unknown option '--${word}'`);
    values[flag.name] = true;
  }
}

/** What strconv.ParseBool of Go takes. */
function switched(flag: Flag, given = 'true'): boolean {
  if (/^(1|t|true)$/i.test(given)) return true;
  if (/^(0|f|false)$/i.test(given)) return false;
  throw new Error(`option '${spelt(flag)}' does not take an argument`);
}

function keep(flag: Flag, value: string | undefined, values: Values): void {
  const { name, choices, repeatable } = flag;
  if (value === undefined) throw new Error(`option '${spelt(flag)} <value>' argument missing`);
  if (choices !== undefined && !choices.includes(value))
    throw new Error(`--${name} ${value}: give one of ${choices.join(', ')}`);
  if (repeatable) values[name] = [...((values[name] as string[] | undefined) ?? []), value];
  else values[name] = value;
}

function spelt({ name, short }: Flag): string {
  return short === undefined ? `--${name}` : `-${short}, --${name}`;
}
