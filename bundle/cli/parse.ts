import yargs, { type Argv } from 'yargs';
import { IMAGE_SPEC_VERSION, VERSION } from '../../schemas/version.ts';
import { type Command, type Flag, type Input, usageOf } from './command.ts';
import { COMMANDS, GLOBAL_FLAGS } from './table.ts';
import { type Line, splitLine } from './words.ts';

/** What a command line asks for: a command to be run, or a text to be printed. */
export type Request =
  | { readonly command: Command; readonly input: Input }
  | { readonly print: string };

/** Stands for the word `-`, which yargs loses; no argument of a process has a NUL in it. */
const DASH = '\0-';

/**
 * Understands a command line.
 *
 * @throws Error in one line for one that breaks the rules
 */
export async function parse(args: readonly string[]): Promise<Request> {
  const line = splitLine(args);
  const parser = program(line.verb);
  if (args.length === 0) return { print: `${await parser.getHelp()}\n` };
  checkCommand(line);
  checkSwitches(line);
  let output = '';
  const failures: string[] = [];
  const values = await parser
    .fail((message, error) => {
      failures.push(message ?? error.message);
    })
    .parse(
      line.words.map((word) => (word === '-' ? DASH : word)),
      {},
      (_error: unknown, _values: unknown, text: string) => {
        output = text;
      },
    );
  const command = COMMANDS.find(({ name }) => name === values._[0]);
  // Of several the last is the most specific: an unknown flag, not what is missing for it.
  const failure = failures.at(-1);
  if (failure !== undefined) {
    const who = command === undefined ? 'scow-bundle' : `scow-bundle ${command.name}`;
    throw new Error(`${sentence(failure, command)} (see ${who} --help)`);
  }
  if (command === undefined || output !== '') return { print: `${helpText(output)}\n` };
  const last = command.positionals.at(-1);
  const rest = last?.rest ? { [last.name]: line.rest } : {};
  return { command, input: inputOf({ ...values, ...rest }) };
}

/** @throws Error for what is neither a flag, nor a command, nor the word that yargs knows */
function checkCommand({ verb }: Line): void {
  if (verb === undefined || verb === 'help' || COMMANDS.some(({ name }) => name === verb)) return;
  const similar = COMMANDS.map(({ name }) => name).filter(
    (name) => name.includes(verb) || verb.includes(name) || name.startsWith(verb.slice(0, 2)),
  );
  const hint = similar.length === 0 ? '' : `: there is ${similar.join(', ')}`;
  throw new Error(`unknown command ${JSON.stringify(verb)}${hint} (see scow-bundle --help)`);
}

/** @throws Error for a switch with a value, which yargs would take as “off” */
function checkSwitches({ verb, words }: Line): void {
  const flags = COMMANDS.find(({ name }) => name === verb)?.flags ?? [];
  for (const word of words) {
    const [, name, value] = /^--(?:no-)?([^=]+)=(.*)$/s.exec(word) ?? [];
    const known = flags.find((flag) => flag.name === name && flag.value === undefined);
    if (known !== undefined && value !== 'true' && value !== 'false')
      throw new Error(`--${name} takes no value (see scow-bundle ${verb} --help)`);
  }
}

/** @param verb the command, whose own short flags count more than those of all commands */
function program(verb: string | undefined): Argv {
  const flags = COMMANDS.find(({ name }) => name === verb)?.flags ?? [];
  const taken = flags.some(({ short }) => short === 'v');
  const parser = yargs([])
    .scriptName('scow-bundle')
    .usage('scow-bundle <command> [flags] [arguments]\n\nMakes bundles of OCI images.')
    .locale('en')
    .exitProcess(false)
    .strict()
    .demandCommand(1, 'a command is missing')
    .version(`scow-bundle version ${VERSION}\nimage-spec: ${IMAGE_SPEC_VERSION}`)
    .alias('version', taken ? [] : 'v')
    .help()
    .alias('help', 'h')
    .parserConfiguration({
      'camel-case-expansion': false,
      'dot-notation': false,
      'greedy-arrays': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    });
  for (const flag of GLOBAL_FLAGS) addFlag(parser, flag);
  for (const command of COMMANDS) addCommand(parser, command);
  return parser;
}

function addCommand(parser: Argv, { name, about, positionals, flags, examples }: Command): void {
  parser.command(
    [name, ...positionals.map(usageOf)].join(' '),
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

/** yargs's help, but for what it says of arguments of which there may be many. */
function helpText(text: string): string {
  return text.replaceAll(/ \[default: \[\]\]/g, '');
}

/** What is given several times comes as a list. */
function inputOf(values: Readonly<Record<string, unknown>>): Input {
  const all = (name: string): readonly unknown[] =>
    [values[name] ?? []].flat().map((value) => (value === DASH ? '-' : value));
  return {
    text(name) {
      const value = all(name).at(-1);
      return typeof value === 'string' ? value : undefined;
    },
    list: (name) => all(name).filter((value) => typeof value === 'string'),
    switch(name) {
      const value = all(name).at(-1);
      return typeof value === 'boolean' ? value : undefined;
    },
  };
}

/** yargs's words, but for what it says of arguments that are missing. */
function sentence(message: string, command: Command | undefined): string {
  const last = command?.positionals.at(-1);
  if (last !== undefined && message.startsWith('Not enough non-option arguments'))
    return `missing required argument: ${last.name}`;
  const required = (command?.flags ?? []).filter((flag) => flag.required).map(({ name }) => name);
  const [, what, names] = /^Missing required (arguments?): (.*)$/.exec(message) ?? [];
  if (names === undefined) return message.charAt(0).toLowerCase() + message.slice(1);
  const list = names.split(', ').map((name) => (required.includes(name) ? `--${name}` : name));
  return `missing required ${what}: ${list.join(', ')}`;
}
