import { O, POLL } from '../linux/constants.ts';
import { closeSync, openSync, readSync } from '../linux/files.ts';
import { join } from '../linux/path.ts';
import { poll } from '../linux/poll.ts';

/** What `cgroup.events` says of a cgroup (the kernel's cgroup-v2.rst, Core Interface Files). */
export interface CgroupEvents {
  /** A live process is in the cgroup or below it. */
  readonly populated: boolean;
  /** All of its processes are frozen, because it or an ancestor was told to be. */
  readonly frozen: boolean;
}

/** The cgroup was removed; its open files answer ENODEV. */
export type Gone = 'gone';

/** Reads the state of the cgroup at `path`. @throws Error of node:fs for other failures */
export function readEvents(path: string): CgroupEvents | Gone {
  return withEvents(path, (read) => read());
}

/**
 * Waits until the cgroup's state is the wanted one, by poll(2) on `cgroup.events`.
 *
 * @param limit milliseconds
 * @returns `gone` when the cgroup does not exist or is removed while waiting
 */
export function waitForEvents(
  path: string,
  wanted: (events: CgroupEvents) => boolean,
  limit: number,
): 'reached' | 'timeout' | Gone {
  const deadline = performance.now() + limit;
  return withEvents(path, (read, fd) => {
    for (;;) {
      // The kernel remembers what was read through this descriptor: a change between
      // this read and the poll below ends the poll at once.
      const events = read();
      if (events === 'gone') return 'gone';
      if (wanted(events)) return 'reached';
      const left = deadline - performance.now();
      if (left <= 0) return 'timeout';
      poll([{ fd, events: POLL.PRI }], Math.ceil(left));
    }
  });
}

function withEvents<Result>(
  path: string,
  use: (read: () => CgroupEvents | Gone, fd: number) => Result,
): Result | Gone {
  let fd: number;
  try {
    fd = openSync(join(path, 'cgroup.events'), O.RDONLY);
  } catch (error) {
    if (isGone(error)) return 'gone';
    throw error;
  }
  try {
    return use(() => readOpen(fd), fd);
  } finally {
    closeSync(fd);
  }
}

function readOpen(fd: number): CgroupEvents | Gone {
  const buffer = Buffer.alloc(256);
  try {
    const lines = buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
    return { populated: /^populated 1$/m.test(lines), frozen: /^frozen 1$/m.test(lines) };
  } catch (error) {
    if (isGone(error)) return 'gone';
    throw error;
  }
}

/** Whether an error of node:fs says that the cgroup does not exist (any more). */
export function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENODEV';
}
