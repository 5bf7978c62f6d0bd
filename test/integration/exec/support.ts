import { both, type Edit } from '../../helpers/container.ts';
import {
  bundleOf,
  type Engine,
  newId,
  type Result,
  type RunOptions,
  runc,
  running,
  scow,
} from '../../helpers/scow.ts';

/** scow under one of its engines, or its peer. */
export type Runtime = Engine | 'runc';
export const RUNTIMES: readonly Runtime[] = ['node', 'bun', 'runc'];

/** Calls a runtime with the words of one command. */
export function call(
  runtime: Runtime,
  args: readonly string[],
  options: Omit<RunOptions, 'engine'> = {},
): Result {
  // runc 1.1 gives the user of a process its standard input, /dev/null of the host too.
  return runtime === 'runc'
    ? runc(args, { input: '', ...options })
    : scow(args, { ...options, engine: runtime });
}

/** Starts a container whose program does nothing for as long as a test takes. @returns its ID */
export function sleeping(runtime: Runtime, ...edits: readonly Edit[]): string {
  return startedFrom(runtime, bundleOf(both(running('sleep', '1000'), ...edits)));
}

/** Starts a container from a bundle. @returns its ID */
export function startedFrom(runtime: Runtime, bundle: string): string {
  const id = newId();
  const { status, stderr } = call(runtime, ['run', '--detach', '--bundle', bundle, id]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return id;
}

/** What a program that is executed in a container prints; it must end well and complain of nothing. */
export function shown(
  runtime: Runtime,
  id: string,
  program: readonly string[],
  flags: readonly string[] = [],
): string[] {
  const { status, stdout, stderr } = call(runtime, ['exec', ...flags, id, ...program]);
  expect({ runtime, status, stderr }).toEqual({ runtime, status: 0, stderr: '' });
  return stdout.trimEnd().split('\n');
}

/** The same for the lines of a shell script. */
export function script(
  runtime: Runtime,
  id: string,
  text: string,
  flags: readonly string[] = [],
): string[] {
  return shown(runtime, id, ['sh', '-c', text], flags);
}

/** The PID of a container's init on the host. */
export function initOf(id: string): number {
  return JSON.parse(scow(['state', id], { engine: 'bun' }).stdout).pid;
}
