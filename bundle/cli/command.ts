/** What a command's file exports. */
export interface CommandModule {
  /**
   * What an ordinary user does before `run` is called in the user namespace (see `userNamespace`): from
   * there other namespaces' processes cannot be seen, nor ended.
   *
   * @throws Error as `run` does
   */
  before?(input: Input): void;
  /**
   * @returns the exit status
   * @throws Error with the line that the user sees; the exit status is 1 then
   */
  run(input: Input): Promise<number>;
}

/** The command line of a command, taken apart. */
export interface Input {
  /** Positional arguments and flags by name; what was not given is undefined; of several the last. */
  text(name: string): string | undefined;
  /** What was given several times, in order: a flag, or the last positional. */
  list(name: string): readonly string[];
  /** A switch; undefined when neither it nor its `--no-` was given. */
  switch(name: string): boolean | undefined;
}

/** An argument that is known by its place. */
export interface Positional {
  readonly name: string;
  readonly about: string;
  readonly optional?: boolean;
  /** Whether it takes all that are left; the last one only. */
  readonly many?: boolean;
  /** Whether it takes all words that are left, flags included: a program's own command line. */
  readonly rest?: boolean;
}

/** A flag of a command, or a global one. */
export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** How its value is called; absent for a switch. */
  readonly value?: string;
  readonly about: string;
  readonly required?: boolean;
  /** Whether it may be given several times, see `Input.list`. */
  readonly repeated?: boolean;
}

/** A command of the table. */
export interface Command {
  readonly name: string;
  readonly about: string;
  readonly positionals: readonly Positional[];
  readonly flags: readonly Flag[];
  readonly examples: readonly string[];
  /**
   * Whether it works on files of containers: they may belong to users whom an ordinary user has only
   * in a user namespace. `run` needs that namespace in any case.
   */
  readonly userNamespace?: 'run' | 'files';
  /** Loads the command's file: no command pays for what another needs. */
  readonly load: () => Promise<CommandModule>;
}

/** How a positional is written in a line of usage. */
export function usageOf({ name, optional, many, rest }: Positional): string {
  const word = many || rest ? `${name}..` : name;
  return optional ? `[${word}]` : `<${word}>`;
}
