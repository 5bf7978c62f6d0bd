import { posix } from 'node:path';
import type { ImageExecution } from '../../schemas/image.ts';
import { splitWords, type Variables, wholeWord } from './instruction-words.ts';
import { parsePorts } from './ports.ts';

/** A configuration that is being edited; fields that we do not know stay as they are. */
export type Execution = { -readonly [K in keyof ImageExecution]: ImageExecution[K] };

/** @param argument what follows the instruction's name, without blanks at its ends */
type Apply = (config: Execution, argument: string, made: ReadonlySet<string>) => void;

const INSTRUCTIONS: Readonly<Record<string, Apply>> = {
  CMD(config, argument) {
    config.Cmd = program(argument);
  },
  ENTRYPOINT(config, argument, made) {
    config.Entrypoint = program(argument);
    // What was given to the program before is not meant for this one.
    if (!made.has('CMD')) config.Cmd = null;
  },
  ENV(config, argument) {
    config.Env = setVariables(config.Env ?? [], assignments(argument, variablesOf(config)));
  },
  EXPOSE(config, argument) {
    const ports = splitWords(argument, variablesOf(config)).flatMap(parsePorts);
    config.ExposedPorts = { ...config.ExposedPorts, ...toSet(ports) };
  },
  LABEL(config, argument) {
    config.Labels = {
      ...config.Labels,
      ...Object.fromEntries(assignments(argument, variablesOf(config))),
    };
  },
  STOPSIGNAL(config, argument) {
    config.StopSignal = wholeWord(argument, variablesOf(config));
  },
  USER(config, argument) {
    config.User = wholeWord(argument, variablesOf(config));
  },
  VOLUME(config, argument) {
    const paths = list(argument) ?? splitWords(argument, variablesOf(config));
    if (paths.includes('')) throw new Error('has an empty path');
    config.Volumes = { ...config.Volumes, ...toSet(paths) };
  },
  WORKDIR(config, argument) {
    const path = wholeWord(argument, variablesOf(config));
    config.WorkingDir = posix.resolve('/', config.WorkingDir ?? '', path);
  },
};

/**
 * Edits what an image's containers run, by instructions of Dockerfiles in their order, as `docker
 * commit --change` takes them. Names of instructions may be in any case.
 *
 * @param flag how errors call where the instructions come from
 * @throws Error in one line for an instruction that is unknown here, or not understood
 */
export function applyInstructions(
  config: ImageExecution,
  instructions: readonly string[],
  flag: string,
): ImageExecution {
  const edited: Execution = { ...config };
  const made = new Set<string>();
  for (const text of instructions) {
    const [, word = '', argument = ''] = /^\s*(\S+)\s*([\s\S]*?)\s*$/.exec(text) ?? [];
    const name = word.toUpperCase();
    const apply = Object.hasOwn(INSTRUCTIONS, name) ? INSTRUCTIONS[name] : undefined;
    if (apply === undefined)
      throw new Error(
        `${flag} ${JSON.stringify(text)}: want one of ${Object.keys(INSTRUCTIONS).join(', ')}`,
      );
    if (argument === '') throw new Error(`${flag} ${JSON.stringify(text)}: ${name} needs a value`);
    try {
      apply(edited, argument, made);
    } catch (cause) {
      const { message } = cause as Error;
      throw new Error(`${flag} ${JSON.stringify(text)}: ${name} ${message}`, { cause });
    }
    made.add(name);
  }
  return edited;
}

/** A command line: as a JSON list, or else for the shell. */
function program(argument: string): readonly string[] {
  return list(argument) ?? ['/bin/sh', '-c', argument];
}

/** A JSON list of strings. @returns undefined for what is none, and means something else then */
function list(argument: string): readonly string[] | undefined {
  if (!argument.startsWith('[')) return undefined;
  try {
    const value: unknown = JSON.parse(argument);
    return Array.isArray(value) && value.every((one) => typeof one === 'string')
      ? value
      : undefined;
  } catch {
    return undefined;
  }
}

/** `NAME=VALUE …`, or the older `NAME VALUE` whose value may have blanks. */
function assignments(argument: string, variables: Variables): [name: string, value: string][] {
  const words = splitWords(argument, variables);
  if (!words[0]?.includes('=')) {
    const [, name = '', value] = /^(\S+)\s+([\s\S]+)$/.exec(argument) ?? [];
    if (value === undefined) throw new Error('needs NAME=VALUE');
    return [[name, wholeWord(value, variables)]];
  }
  return words.map((word) => {
    const at = word.indexOf('=');
    if (at <= 0) throw new Error(`needs NAME=VALUE, and has ${JSON.stringify(word)}`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
}

/** Sets variables, each in the place that it has already. */
export function setVariables(
  env: readonly string[],
  pairs: readonly (readonly [name: string, value: string])[],
): readonly string[] {
  const wanted = new Map(pairs);
  const kept = env.map((one) => {
    const value = wanted.get(nameOf(one));
    return value !== undefined ? `${nameOf(one)}=${value}` : one;
  });
  const present = new Set(env.map(nameOf));
  return [
    ...kept,
    ...[...wanted]
      .filter(([name]) => !present.has(name))
      .map(([name, value]) => `${name}=${value}`),
  ];
}

function variablesOf({ Env }: Execution): Variables {
  return (name) => Env?.findLast((one) => nameOf(one) === name)?.slice(name.length + 1);
}

function nameOf(variable: string): string {
  return variable.split('=', 1)[0] ?? '';
}

function toSet(keys: readonly string[]): Record<string, object> {
  return Object.fromEntries(keys.map((key) => [key, {}]));
}
