/** Stands in for runtime/linux/syscall.ts: the same functions, whose calls can fail. */
import { F } from '../../runtime/linux/constants.ts';
import { errnoCode } from '../../runtime/linux/errno.ts';
import type { Argument, Call, SyscallName } from '../../runtime/linux/syscall.ts';
import * as real from '../../runtime/linux/syscall.ts';
import { KILL, next, nextOfScow } from './fault.ts';

export * from '../../runtime/linux/syscall.ts';

/** Errors are the last of all unsigned numbers. */
const LAST_ERRNO = 4095;

const failed = (result: number) => result < 0 && result >= -LAST_ERRNO;

export function trySyscall(name: SyscallName, ...args: readonly Argument[]): number {
  const fault = nextOfScow(`${name} ${args.filter((arg) => typeof arg === 'string').join(' ')}`);
  if (fault === undefined) return real.trySyscall(name, ...args);
  // The descriptor is free whatever close(2) says, and a futex does wake: nothing can keep it from that.
  const made = name === 'close' || name === 'futex';
  return made ? real.trySyscall(name, ...args) : -errnoCode(fault);
}

export function syscall(name: SyscallName, ...args: readonly Argument[]): number {
  const result = trySyscall(name, ...args);
  if (failed(result)) throw new real.SyscallError(name, args, -result);
  return result;
}

export function batch(calls: readonly Call[]): number[] {
  const results: number[] = [];
  for (const { name, args, stopOnError } of calls) {
    const known = args.map((arg) =>
      typeof arg === 'object' && 'resultOf' in arg ? (results[arg.resultOf] as number) : arg,
    );
    const result = trySyscall(name, ...known);
    results.push(result);
    if (stopOnError && failed(result)) break;
  }
  return results;
}

/** The child runs the list up to the call that fails, and ends there as the stub lets it. */
export function spawn(
  cloneArgs: Uint8Array,
  child: readonly Call[],
  run?: real.RunStub,
): { pid: number; results: number[] } {
  const made = next('launch', 'clone3');
  if (made === KILL) process.kill(process.pid, 'SIGKILL');
  if (made !== undefined) return { pid: -errnoCode(made), results: [] };
  const faults = child.map(({ name }) => next('launch', name));
  const at = faults.findIndex((fault) => fault !== undefined);
  const fault = faults[at];
  if (fault === undefined) return real.spawn(cloneArgs, child, run);
  if (fault === KILL) {
    // The child closes all descriptors but init's before the exec, the pipe too.
    const last = child.findLastIndex(({ name }) => name === 'close_range');
    return real.spawn(cloneArgs, child.toSpliced(Math.min(at, last), 0, deathOfScow()), run);
  }
  const goesOn = !child[at]?.stopOnError;
  const rest = goesOn ? child.slice(at + 1) : [];
  const { pid, results } = real.spawn(cloneArgs, [...child.slice(0, at), ...rest], run);
  return { pid, results: results.toSpliced(at, 0, -errnoCode(fault)) };
}

const F_SETOWN = 8;
const F_SETSIG = 10;
const O_ASYNC = 0o20000;
const SIGKILL = 9;

/**
 * The child can't signal scow, which its PID namespace does not have. But scow can have itself
 * killed when something can be read from a pipe.
 *
 * @returns the call of the child that writes to it
 */
function deathOfScow(): Call {
  const ends = new Int32Array(2);
  real.syscall('pipe2', new Uint8Array(ends.buffer), 0o2000000);
  const [reading = -1, writing = -1] = ends;
  real.syscall('fcntl', reading, F_SETOWN, process.pid);
  real.syscall('fcntl', reading, F_SETSIG, SIGKILL);
  real.syscall('fcntl', reading, F.SETFL, O_ASYNC);
  return { name: 'write', args: [writing, Uint8Array.of(1), 1] };
}
