import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { errnoName, explainErrno } from '../linux/errno.ts';
import { candidates } from '../plan/program.ts';
import type { Step } from '../plan/step.ts';
import { hintFor } from './hints.ts';
import { signalName } from './signals.ts';

/** Init, or a process that was to join a container, failed at a step or was ended. */
export class InitFailure extends Error {
  /** The name of the step's errno, or of the signal that killed it. */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/** What a step of init was about, and what became of it, in one line. */
export function describeFailure(step: Step, errno: number, config: Partial<RuntimeConfig>): string {
  if (step.pointer === '/process/args/0') return programMissing(errno, config);
  const call = step.kind === 'call' ? ` (${step.name})` : '';
  const hint = hintFor(step, errno, config);
  return `${hookOf(step.pointer)}cannot ${step.why}${call}: ${explainErrno(errno)}${hint ? `: ${hint}` : ''}${at(step)}`;
}

/**
 * How a message about a hook begins: in runc's words, which people and tests look for.
 *
 * @param pointer a JSON pointer
 * @returns '' when it does not belong to a hook
 */
export function hookOf(pointer: string): string {
  const [, name, index] = /^\/hooks\/(\w+)\/(\d+)/.exec(pointer) ?? [];
  return name === undefined ? '' : `error running ${name} hook #${index}: `;
}

function programMissing(errno: number, { process }: Partial<RuntimeConfig>): string {
  const program = process?.args?.[0] ?? '';
  const places = process === undefined ? [] : candidates(process);
  const where = program.includes('/')
    ? ''
    : ` in PATH (${places.map((p) => p.slice(0, -program.length - 1)).join(':')})`;
  const why =
    errnoName(errno) === 'EACCES'
      ? `${explainErrno(errno)}: it is there, but is no file that the user of the process may execute`
      : explainErrno(errno);
  return `cannot find the program ${JSON.stringify(program)}${where}: ${why}  [/process/args/0]`;
}

/** Why the kernel would not execute a program that is there and executable. */
const EXEC_HINTS: Readonly<Record<string, string>> = {
  ENOENT:
    'the interpreter that it names (after «#!», or as its ELF loader) is not in the container',
  E2BIG: 'the arguments and the environment are more than the kernel takes, execve(2)',
  ENOEXEC: 'it is neither a program for this machine nor a script that begins with «#!»',
};

/**
 * Why the program could not be executed, in one line.
 *
 * @param program `process.args[0]`
 */
export function execFailure(program: string, errno: number): InitFailure {
  const code = errnoName(errno);
  const hint = EXEC_HINTS[code] === undefined ? '' : `: ${EXEC_HINTS[code]}`;
  return new InitFailure(
    `cannot execute ${JSON.stringify(program)}: ${explainErrno(errno)}${hint}  [/process/args/0]`,
    code,
  );
}

/** How a process has ended. @param status as wait(2) has it */
export function describeStatus(status: number): string {
  const signal = status & 0x7f;
  return signal === 0
    ? `ended with status ${(status >> 8) & 0xff}`
    : `was killed by ${signalName(signal)}`;
}

/** What init was doing when it ended without a word. @param status as wait(2) has it */
export function describeDeath(step: Step | undefined, status: number): string {
  const how = describeStatus(status);
  if (step === undefined) return `init ${how} before its first step`;
  return `init ${how} while it was to ${step.why}${at(step)}`;
}

function at(step: Step): string {
  return step.pointer === '' ? '' : `  [${step.pointer}]`;
}
