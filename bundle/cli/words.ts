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
  if (!command?.positionals.at(-1)?.rest) return { verb, words: args, rest: [] };
  const flags = [...GLOBAL_FLAGS, ...command.flags];
  let end = at + 1;
  for (let left = command.positionals.length - 1; left > 0; left--)
    end = nextPositional(args, end, flags) + 1;
  const rest = args.slice(end);
  return { verb, words: args.slice(0, end), rest: rest[0] === '--' ? rest.slice(1) : rest };
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
  if (word.includes('=')) return false;
  const name = word.replace(/^--?/, '');
  // Of short flags in one word the last may take a value.
  const flag = word.startsWith('--')
    ? flags.find((one) => one.name === name)
    : flags.find((one) => one.short === name.at(-1));
  return flag?.value !== undefined;
}
