import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandOf, type Engine, rootOf, testDirectory } from '../../helpers/scow.ts';

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** What strace(1) is called with, apart from the command. */
export function strace(options: readonly string[], args: readonly string[], engine: Engine): Ended {
  const file = join(testDirectory(), 'injected-stderr');
  const stderr = openSync(file, 'w');
  try {
    // A container that is created keeps the streams: a pipe would be waited for.
    const { status, signal } = spawnSync(
      'strace',
      [...options, ...commandOf(engine), '--root', rootOf('scow'), ...args],
      { stdio: ['ignore', 'ignore', stderr] },
    );
    return { status, signal, stderr: readFileSync(file, 'utf8') };
  } finally {
    closeSync(stderr);
  }
}

/**
 * Runs a scow command that works, and finds the part of it that matters.
 *
 * @returns the numbers of its main thread's system calls from the first that has to do with the
 *   containers' state to the last
 */
export function callsOf(args: readonly string[], engine: Engine): number[] {
  const file = join(testDirectory(), 'calls');
  const { status, stderr } = strace(['-o', file], args, engine);
  if (status !== 0) throw new Error(stderr);
  const calls = readFileSync(file, 'latin1')
    .split('\n')
    .filter((line) => /^\w+\(/.test(line));
  // The command line names the place too.
  const first = calls.findIndex(
    (line) => !line.startsWith('execve') && line.includes(`"${rootOf('scow')}`),
  );
  return Array.from({ length: calls.length - first }, (_, i) => first + i);
}

/** Runs a scow command that is killed when its main thread enters its call number `when`. */
export function killedAt(when: number, args: readonly string[], engine: Engine): Ended {
  return strace(
    ['-o', '/dev/null', '-e', 'trace=all', '-e', `inject=all:signal=KILL:when=${when}`],
    args,
    engine,
  );
}

/**
 * Does something for as many of the items as there is time for, spread evenly over all.
 *
 * @param longest milliseconds
 */
export async function forMany<T>(
  items: readonly T[],
  longest: number,
  use: (item: T) => Promise<void>,
): Promise<void> {
  const end = performance.now() + longest;
  // Steps of the golden section come near every item soon, and meet each once in the end.
  let step = Math.max(1, Math.round(items.length * 0.618));
  while (greatestDivisor(step, items.length) !== 1) step++;
  for (let done = 0; done < items.length && performance.now() < end; done++)
    await use(items[(done * step) % items.length] as T);
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
