/** What a command's file exports. */
export interface CommandModule {
  /**
   * @returns the exit status
   * @throws Error with the line that the user sees; the exit status is 1 then
   */
  run(input: Input): Promise<number>;
}

/** The command line of a command, taken apart. */
export interface Input {
  /** Positional arguments and flags by name; a flag that was not given is undefined. */
  text(name: string): string | undefined;
  /** A switch; undefined when neither it nor its `--no-` was given. */
  switch(name: string): boolean | undefined;
}

export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** How its value is called; absent for a switch. */
  readonly value?: string;
  readonly about: string;
  readonly required?: boolean;
}

export interface Command {
  readonly name: string;
  readonly about: string;
  readonly positionals: readonly { readonly name: string; readonly about: string }[];
  readonly flags: readonly Flag[];
  readonly examples: readonly string[];
  /** Loads the command's file: no command pays for what another needs. */
  readonly load: () => Promise<CommandModule>;
}

export const COMMANDS: readonly Command[] = [
  {
    name: 'unpack',
    about: 'make a bundle of an image: its root filesystem and config.json',
    positionals: [
      { name: 'bundle', about: 'the directory to make; it must not exist yet, or be empty' },
    ],
    flags: [
      {
        name: 'image',
        value: 'LAYOUT[:TAG]',
        about:
          'an OCI image layout, as a directory or a tar archive, and a tag in it; without a tag "latest", or the only image',
        required: true,
      },
      {
        name: 'platform',
        value: 'OS/ARCH[/VARIANT]',
        about: "which image to take where there are several; this machine's by default",
      },
      {
        name: 'rootless',
        about:
          "make all files the caller's own, who is root in the container; the default for all but root",
      },
      {
        name: 'terminal',
        short: 't',
        about: 'have runtimes give the program a terminal (process.terminal)',
      },
      { name: 'json', about: 'print what happens as JSON, an object a line' },
      { name: 'quiet', short: 'q', about: 'show no progress' },
    ],
    examples: [
      'scow-bundle unpack --image layout:1.0 bundle',
      'scow-bundle unpack --image image.tar --platform linux/arm64 --terminal bundle',
    ],
    load: () => import('./unpack.ts'),
  },
];
