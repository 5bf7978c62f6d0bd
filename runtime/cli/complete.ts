import { statusOf } from '../container/state.ts';
import { print } from '../linux/output.ts';
import { SIGNALS } from '../linux/signals.ts';
import type { Command } from './command.ts';
import type { Completed, Flag } from './flag.ts';
import { Flags } from './parse.ts';
import { storeOf } from './root.ts';
import { COMMANDS, GLOBAL_FLAGS, HELP_FLAG } from './table.ts';

/** A word that may come next, and what it is about. */
type Offer = readonly [word: string, about: string];

/** What may come next: words, or files or directories, which a shell knows better. */
interface Completion {
  readonly kind: 'words' | 'files' | 'directories';
  readonly offers: readonly Offer[];
}

const NOTHING: Completion = { kind: 'words', offers: [] };
const DIRECTORY = /^DIR$/;
const FILE = /^(FILE|SOCKET|PATH)$/;

/**
 * Prints what may come next on a command line, for the scripts of `completion`.
 *
 * @param args the shell's name, and the words typed so far without the program's: the last one is
 *   unfinished
 * @returns the exit status, 0
 */
export function printCompletion([shell = '', ...words]: readonly string[]): number {
  const typed = shell === 'bash' ? rejoined(words) : words;
  const { kind, offers } = complete(typed);
  const current = typed.at(-1) ?? '';
  // Of `--flag=value` bash and zsh replace the value only.
  const wanted = shell === 'fish' ? current : afterFlag(current);
  const lines = offers
    .map(([word, about]): Offer => [shell === 'fish' ? word : afterFlag(word), about])
    .filter(([word]) => word.startsWith(wanted))
    .map(([word, about]) => (about === '' ? `${word}\n` : `${word}\t${about}\n`));
  print([`${kind}\n`, ...lines].join(''));
  return 0;
}

/** bash takes `--flag=value` for three words. */
function rejoined(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (const [i, word] of words.entries())
    if (i > 0 && (word === '=' || words[i - 1] === '=')) joined.push(`${joined.pop()}${word}`);
    else joined.push(word);
  return joined;
}

function afterFlag(word: string): string {
  return word.replace(/^--?[\w-]+=/, '');
}

/** @param words the words so far without the program's name, the last one unfinished */
export function complete(words: readonly string[]): Completion {
  const typed = words.slice(0, -1);
  const current = words.at(-1) ?? '';
  const global = walk(typed, GLOBAL_FLAGS, true);
  if (global.pending !== undefined) return ofFlag(global.pending, '', global.values);
  const [name, ...rest] = global.rest;
  if (name === undefined)
    return current.startsWith('-')
      ? ofFlags(GLOBAL_FLAGS, current, global.values)
      : wordsOf(COMMANDS.map((command): Offer => [command.name, command.about]));
  const command = COMMANDS.find((known) => known.name === name);
  return command === undefined ? NOTHING : ofCommand(command, rest, current, global.values);
}

function ofCommand(
  command: Command,
  typed: readonly string[],
  current: string,
  global: ReadonlyMap<string, string>,
): Completion {
  const { flags, positionals, flagsFirst = false } = command;
  const { pending, rest, ended } = walk(typed, flags, flagsFirst);
  if (pending !== undefined) return ofFlag(pending, '', global);
  if (current.startsWith('-') && !ended) return ofFlags([...flags, HELP_FLAG], current, global);
  const last = positionals.at(-1);
  const positional = positionals[rest.length] ?? (last?.many ? last : undefined);
  if (positional === undefined) return NOTHING;
  if (positional.choices !== undefined) return wordsOf(positional.choices.map(bare));
  return positional.completes === undefined ? NOTHING : ofKind(positional.completes, global);
}

/** Tells flags and their values from other words. */
function walk(words: readonly string[], flags: readonly Flag[], flagsFirst: boolean) {
  const rest: string[] = [];
  const values = new Map<string, string>();
  let pending: Flag | undefined;
  for (const [i, word] of words.entries()) {
    const [, name, value] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (pending !== undefined) {
      values.set(pending.name, word);
      pending = undefined;
    } else if (name !== undefined) {
      const flag = flags.find((known) => known.name === name || known.short === name);
      if (value !== undefined) values.set(flag?.name ?? name, value);
      else if (flag?.value !== undefined) pending = flag;
    } else if (word === '--' || flagsFirst) {
      return { rest: [...rest, ...words.slice(word === '--' ? i + 1 : i)], values, ended: true };
    } else rest.push(word);
  }
  return { rest, values, pending, ended: false };
}

function ofFlags(
  flags: readonly Flag[],
  current: string,
  global: ReadonlyMap<string, string>,
): Completion {
  const [, name] = /^--?([^=]+)=/.exec(current) ?? [];
  const shown = flags.filter(({ hidden }) => !hidden);
  if (name === undefined)
    return wordsOf(shown.map((flag): Offer => [`--${flag.name}`, flag.about]));
  const flag = shown.find((known) => known.name === name || known.short === name);
  return flag === undefined ? NOTHING : ofFlag(flag, current.replace(/=.*$/s, '='), global);
}

/** @param prefix of the same word, as in `--flag=value` */
function ofFlag(flag: Flag, prefix: string, global: ReadonlyMap<string, string>): Completion {
  const { value = '', choices, completes } = flag;
  if (DIRECTORY.test(value)) return { kind: 'directories', offers: [] };
  if (FILE.test(value)) return { kind: 'files', offers: [] };
  const found =
    choices !== undefined ? wordsOf(choices.map(bare)) : completes && ofKind(completes, global);
  const offers = (found?.offers ?? []).map(([word, about]): Offer => [prefix + word, about]);
  return { kind: found?.kind ?? 'words', offers };
}

function ofKind(kind: Completed, global: ReadonlyMap<string, string>): Completion {
  if (kind === 'files') return { kind, offers: [] };
  return wordsOf(kind === 'signals' ? signals() : containers(global));
}

function signals(): Offer[] {
  return Object.keys(SIGNALS).map((name) => bare(name.replace(/^SIG/, '')));
}

/** The containers below `--root`, with their status; those that cannot be read are left out. */
function containers(global: ReadonlyMap<string, string>): Offer[] {
  try {
    const store = storeOf(new Flags(Object.fromEntries(global)));
    return store.list().flatMap((id) => {
      try {
        return [[id, statusOf(store.read(id), store.directory(id))] as const];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

function wordsOf(offers: readonly Offer[]): Completion {
  return { kind: 'words', offers };
}

function bare(word: string): Offer {
  return [word, ''];
}
