import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
} from 'node:fs';
import { join } from 'node:path';
import { LOCK } from '../../runtime/linux/constants.ts';
import { errnoCode } from '../../runtime/linux/errno.ts';
import { codeOf } from '../../runtime/linux/reason.ts';
import { trySyscall } from '../../runtime/linux/syscall.ts';
import { unmountBelow } from '../mount/table.ts';
import { removeTree } from './remove-tree.ts';

const EAGAIN = errnoCode('EAGAIN');

/** A temporary directory, and the lock that tells it from one whose owner died. */
export interface Temporary {
  readonly parent: string;
  readonly name: string;
  /** Descriptor; the kernel lets the lock go when the process ends, however it ends. */
  readonly lock: number;
}

/**
 * Makes a directory that only its owner can enter, named `prefix` and eight digits.
 *
 * @throws Error of node:fs when it cannot be made
 */
export function makeTemporary(parent: string, prefix: string): Temporary {
  for (;;) {
    const name = `${prefix}${randomBytes(4).toString('hex')}`;
    const path = join(parent, name);
    mkdirSync(path, { mode: 0o700 });
    // Until it is locked, somebody else who makes one may take it for stale and remove it.
    const lock = openIfThere(path);
    if (lock === undefined) continue;
    const status = trySyscall('flock', lock, LOCK.EX | LOCK.NB);
    // Where the file system has no locks nothing is ever taken for stale: see `lockStale`.
    if (status !== -EAGAIN && existsSync(path)) return { parent, name, lock };
    closeSync(lock);
  }
}

/** Whether a name is one that `makeTemporary` gives with this prefix. */
export function isTemporary(name: string, prefix: string): boolean {
  return name.startsWith(prefix) && /^[0-9a-f]{8}$/.test(name.slice(prefix.length));
}

/**
 * Removes a temporary directory with all that it holds; nothing happens if it is gone. What is
 * mounted in there, by somebody who was killed, is unmounted.
 */
export function discard({ parent, name, lock }: Temporary): void {
  unmountBelow(join(realpathSync(parent), name));
  const directory = openSync(parent, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    removeTree(directory, name);
  } finally {
    closeSync(directory);
    closeSync(lock);
  }
}

/** Removes the temporary directories with this prefix whose owners died. */
export function removeStale(parent: string, prefix: string): void {
  for (const name of namesIn(parent).filter((other) => isTemporary(other, prefix))) {
    const lock = lockStale(join(parent, name));
    if (lock !== undefined) discardIfAllowed({ parent, name, lock });
  }
}

/**
 * Removes what somebody left who was killed. An ordinary user's may hold files of their subordinate
 * users, which only commands can remove that enter their user namespace: others leave it to those.
 */
export function discardIfAllowed(temporary: Temporary): void {
  try {
    discard(temporary);
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes(codeOf(error) ?? '')) throw error;
  }
}

/**
 * Locks a temporary directory whose owner died.
 *
 * @returns undefined when it is in use, or none of ours: one that others may enter could be
 *   changed by them while it is removed
 */
export function lockStale(path: string): number | undefined {
  const fd = openIfThere(path);
  if (fd === undefined) return undefined;
  const { uid, mode } = fstatSync(fd);
  const ours = uid === process.geteuid?.() && (mode & 0o077) === 0;
  if (ours && trySyscall('flock', fd, LOCK.EX | LOCK.NB) === 0) return fd;
  closeSync(fd);
  return undefined;
}

/** Opens a directory. @returns undefined where there is none, or we may not */
function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** The names in a directory; none where it may be written to, but not read. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (codeOf(error) === 'EACCES') return [];
    throw error;
  }
}
