import yargs, { type Argv, type Options } from 'yargs';
import { print } from '../linux/output.ts';
import type { Command } from './command.ts';
import type { Flag } from './flag.ts';
import { COMMANDS, GLOBAL_FLAGS, UnknownCommand } from './table.ts';

/**
 * Prints help for one command, or for scow.
 *
 * @returns the exit status, 0
 * @throws Error for a command that there is not
 */
export async function help(name: string | undefined): Promise<number> {
  const command = COMMANDS.find((known) => known.name === name);
  if (name !== undefined && command === undefined)
    throw new UnknownCommand(`no help for ${JSON.stringify(name)}: scow --help lists the commands`);
  const described = command === undefined ? describeScow() : describeCommand(command);
  print(`${await described.getHelp()}\n`);
  return 0;
}

function describeScow(): Argv {
  const described = describeFlags(GLOBAL_FLAGS)
    .scriptName('scow')
    .usage('scow [global flags] <command> [flags] [arguments]\n\nRuns OCI containers.')
    .epilogue('scow <command> --help shows the flags of a command.');
  for (const { name, about } of COMMANDS) described.command(name, about);
  return described;
}

function describeCommand(command: Command): Argv {
  const words = command.positionals.map(({ name, optional, many }) => {
    const word = many ? `${name}...` : name;
    return optional ? `[${word}]` : `<${word}>`;
  });
  const described = describeFlags([
    ...command.flags,
    { name: 'help', short: 'h', about: 'show help' },
  ]).usage(`scow ${[command.name, '[flags]', ...words].join(' ')}\n\n${sentence(command.about)}`);
  for (const { name, about } of command.positionals)
    described.positional(name, { describe: about, type: 'string' });
  return described;
}

function describeFlags(flags: readonly Flag[]): Argv {
  const described = yargs([]).locale('en').version(false).help(false).exitProcess(false);
  for (const flag of flags) described.option(flag.name, describeFlag(flag));
  return described;
}

function describeFlag(flag: Flag): Options {
  const { short, value, about, choices, default: usual, repeatable, hidden } = flag;
  return {
    describe: repeatable ? `${about}; may be repeated` : about,
    type: value === undefined ? 'boolean' : 'string',
    ...(short === undefined ? {} : { alias: short }),
    ...(choices === undefined ? {} : { choices }),
    ...(usual === undefined ? {} : { default: usual }),
    ...(hidden === undefined ? {} : { hidden }),
  };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
