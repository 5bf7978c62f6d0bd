import yargs, { type Argv } from 'yargs';
import { IMAGE_SPEC_VERSION, VERSION } from '../../schemas/version.ts';
import { COMMANDS, type Command, type Flag, type Input } from './table.ts';

/** What a command line asks for: a command to be run, or a text to be printed. */
export type Request =
  | { readonly command: Command; readonly input: Input }
  | { readonly print: string };

/**
 * Understands a command line.
 *
 * @throws Error in one line for one that breaks the rules
 */
export async function parse(args: readonly string[]): Promise<Request> {
  const parser = program();
  if (args.length === 0) return { print: `${await parser.getHelp()}\n` };
  checkCommand(args[0] as string);
  checkSwitches(args);
  let output = '';
  const failures: string[] = [];
  const values = await parser
    .fail((message, error) => {
      failures.push(message ?? error.message);
    })
    .parse([...args], {}, (_error: unknown, _values: unknown, text: string) => {
      output = text;
    });
  const command = COMMANDS.find(({ name }) => name === values._[0]);
  // Of several the last is the most specific: an unknown flag, not what is missing for it.
  const failure = failures.at(-1);
  if (failure !== undefined) {
    const who = command === undefined ? 'scow-bundle' : `scow-bundle ${command.name}`;
    throw new Error(`${sentence(failure)} (see ${who} --help)`);
  }
  if (command === undefined || output !== '') return { print: `${output}\n` };
  return { command, input: inputOf(values) };
}

/** @throws Error for what is neither a flag, nor a command, nor the word that yargs knows */
function checkCommand(word: string): void {
  if (word.startsWith('-') || word === 'help' || COMMANDS.some(({ name }) => name === word)) return;
  const known = COMMANDS.map(({ name }) => name).join(', ');
  throw new Error(
    `unknown command ${JSON.stringify(word)}: there is ${known} (see scow-bundle --help)`,
  );
}

/** @throws Error for a switch with a value, which yargs would take as “off” */
function checkSwitches(args: readonly string[]): void {
  const flags = COMMANDS.find(({ name }) => name === args[0])?.flags ?? [];
  for (const arg of args) {
    const [, name, value] = /^--(?:no-)?([^=]+)=(.*)$/s.exec(arg) ?? [];
    const known = flags.find((flag) => flag.name === name && flag.value === undefined);
    if (known !== undefined && value !== 'true' && value !== 'false')
      throw new Error(`--${name} takes no value (see scow-bundle ${args[0]} --help)`);
  }
}

function program(): Argv {
  const parser = yargs([])
    .scriptName('scow-bundle')
    .usage('scow-bundle <command> [flags] [arguments]\n\nMakes bundles of OCI images.')
    .locale('en')
    .exitProcess(false)
    .strict()
    .demandCommand(1, 'a command is missing')
    .version(`scow-bundle version ${VERSION}\nimage-spec: ${IMAGE_SPEC_VERSION}`)
    .alias('version', 'v')
    .help()
    .alias('help', 'h')
    .parserConfiguration({
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    });
  for (const command of COMMANDS) addCommand(parser, command);
  return parser;
}

function addCommand(parser: Argv, { name, about, positionals, flags, examples }: Command): void {
  const words = positionals.map((positional) => `<${positional.name}>`);
  parser.command(
    [name, ...words].join(' '),
    about,
    (builder) => {
      for (const positional of positionals)
        builder.positional(positional.name, { describe: positional.about, type: 'string' });
      for (const flag of flags) addFlag(builder, flag);
      return builder.epilogue(`Examples:\n${examples.map((line) => `  ${line}`).join('\n')}`);
    },
    () => undefined,
  );
}

function addFlag(builder: Argv, { name, short, value, about, required }: Flag): void {
  builder.option(name, {
    describe: value === undefined ? about : `${value}: ${about}`,
    type: value === undefined ? 'boolean' : 'string',
    ...(value === undefined ? {} : { requiresArg: true }),
    ...(short === undefined ? {} : { alias: short }),
    ...(required ? { demandOption: true } : {}),
  });
}

function inputOf(values: Readonly<Record<string, unknown>>): Input {
  return {
    text(name) {
      const value = values[name];
      return typeof value === 'string' ? value : undefined;
    },
    switch(name) {
      const value = values[name];
      return typeof value === 'boolean' ? value : undefined;
    },
  };
}

function sentence(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
