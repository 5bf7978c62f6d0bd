import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { O, RESOLVE } from '../../runtime/linux/constants.ts';
import { openat2 } from '../../runtime/linux/openat2.ts';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import type { Permissions } from './volumes.ts';

/** A root filesystem, looked at as the container would: no link leads out of it. */
export interface RootReader {
  /**
   * @param path such as `/etc/passwd`
   * @returns undefined where there is none
   * @throws Error when it is no regular file, or larger than 16 MiB
   */
  readFile(path: string): string | undefined;
  /** @returns undefined where there is none, or we may not look */
  directory(path: string): Permissions | undefined;
}

/** Far above any real user database, in bytes; an image decides what is in it. */
const LIMIT = 16 * 1024 * 1024;

const ABSENT = ['ENOENT', 'ENOTDIR'];

/** Looks at a root filesystem that is on disk. @throws Error of node:fs */
export function withRoot<T>(rootfs: string, look: (root: RootReader) => T): T {
  const fd = openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    return look({
      readFile: (path) => readInRoot(fd, path),
      directory: (path) => directoryInRoot(fd, path),
    });
  } finally {
    closeSync(fd);
  }
}

/** @throws Error when a file of an image is not one to be read into memory */
export function checkReadable(path: string, isFile: boolean, size: number): void {
  if (!isFile) throw new Error(`the image's ${path} is not a regular file`);
  if (size > LIMIT)
    throw new Error(`the image's ${path} is too large: ${size} bytes (at most 16 MiB)`);
}

/**
 * Reads a file of a root filesystem as the container would: symbolic links, also absolute ones,
 * stay inside of it (openat2(2), RESOLVE_IN_ROOT).
 *
 * @param rootfs the root, an open directory
 * @param path such as `/etc/passwd`
 * @returns undefined where there is none
 * @throws Error when it is no regular file, or larger than 16 MiB
 */
function readInRoot(rootfs: number, path: string): string | undefined {
  // NONBLOCK: a FIFO must not make us wait for a writer.
  const fd = openInRoot(rootfs, path, O.RDONLY | O.NONBLOCK | O.NOCTTY, ABSENT);
  if (fd === undefined) return undefined;
  try {
    const status = fstatSync(fd);
    checkReadable(path, status.isFile(), status.size);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/**
 * Looks a directory of a root filesystem up, as the container would.
 *
 * @returns undefined where there is none, or we may not look
 */
function directoryInRoot(rootfs: number, path: string): Permissions | undefined {
  const fd = openInRoot(rootfs, path, O.PATH | O.DIRECTORY, [...ABSENT, 'EACCES']);
  if (fd === undefined) return undefined;
  try {
    const { mode, uid, gid } = fstatSync(fd);
    // An ordinary user's own files are root's in the container.
    const inside = (id: number, own: number | undefined) => (id === own ? 0 : id);
    return {
      mode: mode & 0o7777,
      uid: inside(uid, process.geteuid?.()),
      gid: inside(gid, process.getegid?.()),
    };
  } finally {
    closeSync(fd);
  }
}

/** @param absent errnos that mean that there is nothing */
function openInRoot(
  rootfs: number,
  path: string,
  flags: number,
  absent: readonly string[],
): number | undefined {
  try {
    return openat2(rootfs, path, flags, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS);
  } catch (error) {
    if (absent.includes(codeOf(error) ?? '')) return undefined;
    throw new Error(`the image's ${path}: ${reason(error)}`, { cause: error });
  }
}
