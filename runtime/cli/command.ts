import type { Completed, Flag } from './flag.ts';
import type { Input } from './parse.ts';

/** An argument that is known by its place. */
export interface Positional {
  readonly name: string;
  readonly about: string;
  readonly optional?: boolean;
  /** It takes all words that are left. */
  readonly many?: boolean;
  /** The only words that are accepted. */
  readonly choices?: readonly string[];
  readonly completes?: Completed;
}

/** What a command's own file exports. */
export interface CommandModule {
  /**
   * Does what the command is for.
   *
   * @returns the exit status when it is not 0
   * @throws Error whose message is the line that the user sees
   */
  run(input: Input): number | undefined | Promise<number | undefined>;
}

/** A command of the table. */
export interface Command {
  readonly name: string;
  readonly about: string;
  readonly positionals: readonly Positional[];
  readonly flags: readonly Flag[];
  /** What follows the first positional argument is for another program, dashes and all. */
  readonly flagsFirst?: boolean;
  /** The exit status when it fails; 1 if not given. */
  readonly failure?: number;
  /** Loads the command's file: no command pays for what another needs. */
  readonly load: () => Promise<CommandModule>;
}
