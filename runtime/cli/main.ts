import { logError, openLog } from '../container/log.ts';
import type { Command } from './command.ts';
import { type Flags, parse } from './parse.ts';
import { COMMANDS, COMPLETE, GLOBAL_FLAGS, HELP_FLAG, NOT_YET, UnknownCommand } from './table.ts';

/**
 * Runs one scow command and ends the process with its exit status: 1 when it failed, or what the
 * command has for that.
 *
 * @param args the command line without the program's name
 */
export async function main(args: readonly string[]): Promise<void> {
  const outcome = { failure: 1 };
  const fail = (error: unknown) => {
    logError(error);
    process.exit(error instanceof UnknownCommand ? error.exitStatus : outcome.failure);
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  try {
    // Nothing may keep us once the command is done: an engine waits for our end.
    process.exit((await execute(args, outcome)) ?? 0);
  } catch (error) {
    fail(error);
  }
}

/** @param outcome gets the exit status that a failure has from then on */
async function execute(
  args: readonly string[],
  outcome: { failure: number },
): Promise<number | undefined> {
  // The scripts of `completion` call us like this.
  if (args[0] === COMPLETE) return (await import('./complete.ts')).printCompletion(args.slice(1));
  const { flags: global, rest } = explained('scow', () =>
    parse(args, GLOBAL_FLAGS, { flagsFirst: true }),
  );
  await openLogOf(global);
  if (global.has('version')) return (await import('./version.ts')).printVersion();
  const [name, ...commandArgs] = rest;
  if (name === undefined || global.has('help')) return (await import('./usage.ts')).help(name);
  if (name === 'help' || name === 'h') return (await import('./usage.ts')).help(commandArgs[0]);
  const command = find(name);
  outcome.failure = command.failure ?? 1;
  const { flags, rest: positionals } = explained(`scow ${name}`, () =>
    parseCommand(command, commandArgs),
  );
  if (flags.has('help')) return (await import('./usage.ts')).help(name);
  const { run } = await command.load();
  return run({ global, flags, positionals });
}

async function openLogOf(global: Flags): Promise<void> {
  const level = global.has('debug') ? 'debug' : global.text('log-level');
  const destination = global.text('log');
  const [, service, name = ''] = /^(journald|syslog):(.*)$/s.exec(destination ?? '') ?? [];
  openLog({
    ...(service === undefined
      ? { file: destination?.replace(/^file:/, '') }
      : { service: (await import('../container/log-service.ts')).openService(service, name) }),
    format: global.text('log-format') === 'json' ? 'json' : 'text',
    level: level === 'debug' || level === 'error' ? level : 'warning',
  });
}

function find(name: string): Command {
  const command = COMMANDS.find((known) => known.name === name);
  if (command !== undefined) return command;
  if (NOT_YET.includes(name)) throw new Error(`${name} is not supported yet`);
  throw new UnknownCommand(
    `unknown command ${JSON.stringify(name)}: scow --help lists the commands`,
  );
}

function parseCommand(command: Command, args: readonly string[]) {
  const { positionals, flagsFirst = false } = command;
  const parsed = parse(args, [...command.flags, HELP_FLAG], { flagsFirst });
  if (parsed.flags.has('help')) return parsed;
  const missing = positionals.slice(parsed.rest.length).find(({ optional }) => !optional);
  if (missing !== undefined) throw new Error(`<${missing.name}> is missing`);
  for (const [i, { name, choices }] of positionals.entries()) {
    const word = parsed.rest[i];
    if (word !== undefined && choices !== undefined && !choices.includes(word))
      throw new Error(`<${name}> ${word}: give one of ${choices.join(', ')}`);
  }
  if (positionals.at(-1)?.many) return parsed;
  const surplus = parsed.rest[positionals.length];
  if (surplus !== undefined) throw new Error(`${JSON.stringify(surplus)} is one argument too many`);
  return parsed;
}

/** Adds to what is wrong with a command line where its rules are. */
function explained<T>(who: string, understand: () => T): T {
  try {
    return understand();
  } catch (cause) {
    throw new Error(`${(cause as Error).message} (see ${who} --help)`, { cause });
  }
}
