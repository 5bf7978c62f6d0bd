import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOCK } from '../../runtime/linux/constants.ts';
import { errnoCode } from '../../runtime/linux/errno.ts';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { SyscallError, trySyscall } from '../../runtime/linux/syscall.ts';
import { STORE } from './files.ts';

const EAGAIN = errnoCode('EAGAIN');

/** Milliseconds between two attempts: the lock is never held for long. */
const PATIENCE = 10;

/**
 * Works while no other process (nor another part of this one) changes the store.
 *
 * @param mode `shared` for what may happen at the same time as others that are shared: leases
 *   are taken so. `exclusive` for what changes `index.json` or removes content
 * @param work must not lock again
 * @throws Error in one line, with the `code` of the call that failed
 */
export async function withLock<T>(
  store: string,
  mode: 'shared' | 'exclusive',
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    const fd = openSync(join(store, STORE.lock), 'r');
    try {
      await flock(fd, mode === 'shared' ? LOCK.SH : LOCK.EX);
      return await work();
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    const message = `cannot use the image store ${store}: ${reason(error)}`;
    throw Object.assign(new Error(message, { cause: error }), { code });
  }
}

/** Waits for a lock without holding up the rest of the program, signals included: flock(2). */
async function flock(fd: number, operation: number): Promise<void> {
  for (;;) {
    const result = trySyscall('flock', fd, operation | LOCK.NB);
    if (result >= 0) return;
    if (result !== -EAGAIN) throw new SyscallError('flock', [fd, operation], -result);
    await sleep(PATIENCE);
  }
}
