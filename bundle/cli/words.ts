import type { Flag } from './command.ts';
import { COMMANDS, GLOBAL_FLAGS } from './table.ts';

/** A command line, cut where a program's own command line begins. */
export interface Line {
  /** The command's name, or what stands in its place; undefined where there is none. */
  readonly verb: string | undefined;
  /** What is ours to understand. */
  readonly words: readonly string[];
  /** The words of a positional that takes all that follows, as they are. */
  readonly rest: readonly string[];
}

/**
 * Finds the command, which global flags may precede, and the end of what is ours: in
 * `run IMAGE ls -l` the flag is the program's.
 */
export function splitLine(args: readonly string[]): Line {
  const at = nextPositional(args, 0, GLOBAL_FLAGS);
  const verb = args[at];
  const command = COMMANDS.find(({ name }) => name === verb);
  const flags = [...GLOBAL_FLAGS, ...(command?.flags ?? [])];
  if (!command?.positionals.at(-1)?.rest)
    return { verb, words: separateValues(args, flags), rest: [] };
  let end = at + 1;
  for (let left = command.positionals.length - 1; left > 0; left--)
    end = nextPositional(args, end, flags) + 1;
  const rest = args.slice(end);
  const words = separateValues(args.slice(0, end), flags);
  return { verb, words, rest: rest[0] === '--' ? rest.slice(1) : rest };
}

/** The place of the first word from `from` on that is neither a flag nor a flag's value. */
function nextPositional(args: readonly string[], from: number, flags: readonly Flag[]): number {
  let at = from;
  for (; at < args.length && args[at]?.startsWith('-') && args[at] !== '-'; at++) {
    if (args[at] === '--') return at + 1;
    if (takesNext(args[at] as string, flags)) at++;
  }
  return at;
}

/** Whether the next word is this one's value. */
function takesNext(word: string, flags: readonly Flag[]): boolean {
  if (word.includes('=') || valueStart(word, flags) !== undefined) return false;
  const name = word.replace(/^--?/, '');
  // Of short flags in one word the last may take a value.
  const flag = word.startsWith('--')
    ? flags.find((one) => one.name === name)
    : flags.find((one) => one.short === name.at(-1));
  return flag?.value !== undefined;
}

/** Makes two words of a short flag and its value where they are one: `-p80:80`. */
function separateValues(words: readonly string[], flags: readonly Flag[]): string[] {
  const separate: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    if (word === '--') return [...separate, ...words.slice(at)];
    const start = valueStart(word, flags);
    if (start === undefined) separate.push(word);
    else separate.push(word.slice(0, start), word.slice(start));
    const next = words[at + 1];
    if (next !== undefined && /^-./.test(word) && takesNext(word, flags)) {
      separate.push(next);
      at++;
    }
  }
  return separate;
}

/** Where in a word of short flags the value of one begins; undefined where there is none, or `=`. */
function valueStart(word: string, flags: readonly Flag[]): number | undefined {
  if (!/^-[^-]/.test(word)) return undefined;
  for (let at = 1; at < word.length - 1; at++) {
    const flag = flags.find(({ short }) => short === word[at]);
    if (flag?.value !== undefined) return word[at + 1] === '=' ? undefined : at + 1;
    if (flag === undefined) return undefined;
  }
  return undefined;
}
