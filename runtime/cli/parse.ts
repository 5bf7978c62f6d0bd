import { parseArgs } from 'node:util';
import type { Flag } from './table.ts';

/** The values of flags, by name. */
export class Flags {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
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

export interface Parsed {
  readonly flags: Flags;
  /** What is no flag; after the first such argument everything, where flags must come first. */
  readonly rest: readonly string[];
}

/**
 * Reads flags off a command line.
 *
 * @param flagsFirst the first argument that is no flag ends the flags
 * @throws Error for an unknown flag, a missing value or one that is not allowed
 */
export function parse(
  args: readonly string[],
  flags: readonly Flag[],
  { flagsFirst }: { flagsFirst: boolean },
): Parsed {
  const { options, rest } = respell(args, flags, flagsFirst);
  let values: Record<string, unknown>;
  try {
    ({ values } = parseArgs({ args: options, options: optionsOf(flags), strict: true }));
  } catch (cause) {
    // The first sentence says what is wrong; the engines' advice after it is about parseArgs.
    const [what = ''] = (cause as Error).message.split(/\.\s/);
    throw new Error(what.charAt(0).toLowerCase() + what.slice(1), { cause });
  }
  for (const { name, choices } of flags) {
    const value = values[name];
    if (typeof value === 'string' && choices !== undefined && !choices.includes(value))
      throw new Error(`--${name} ${value}: give one of ${choices.join(', ')}`);
  }
  return { flags: new Flags(values), rest };
}

function optionsOf(flags: readonly Flag[]) {
  const entries = flags.map(({ name, short, value, repeatable: multiple = false }) => {
    const type = value === undefined ? ('boolean' as const) : ('string' as const);
    return [name, { type, multiple, ...(short === undefined ? {} : { short }) }] as const;
  });
  return Object.fromEntries(entries);
}

/**
 * Spells flags in the one way that parseArgs knows. Engines are written for runtimes that use Go's
 * flag package: there `-name` is `--name`, a switch may have a value (`--detach=true`), and a
 * value may begin with a dash.
 */
function respell(args: readonly string[], flags: readonly Flag[], flagsFirst: boolean) {
  const options: string[] = [];
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    const [, name, given] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name === undefined) {
      if (arg === '--') return { options, rest: [...rest, ...args.slice(i + 1)] };
      if (flagsFirst) return { options, rest: args.slice(i) };
      rest.push(arg);
      continue;
    }
    const flag = flags.find((known) => known.name === name || known.short === name);
    if (flag === undefined) options.push(isGroup(name, flags) ? arg : `--${name}`);
    else if (flag.value === undefined) options.push(...spellSwitch(flag, arg, given));
    else if (given !== undefined) options.push(`--${flag.name}=${given}`);
    else if (i + 1 < args.length) options.push(`--${flag.name}=${args[++i]}`);
    else options.push(`--${flag.name}`);
  }
  return { options, rest };
}

/** Whether a word is made of switches' letters: `-dk`. Else it is a long name, as Go has it. */
function isGroup(word: string, flags: readonly Flag[]): boolean {
  return [...word].every((letter) =>
    flags.some(({ short, value }) => short === letter && value === undefined),
  );
}

function spellSwitch(flag: Flag, arg: string, given: string | undefined): string[] {
  if (given === undefined || /^(1|t|true)$/i.test(given)) return [`--${flag.name}`];
  return /^(0|f|false)$/i.test(given) ? [] : [arg];
}
