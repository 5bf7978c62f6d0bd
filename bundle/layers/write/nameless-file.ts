import { randomBytes } from 'node:crypto';
import { existsSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { reason } from '../../../runtime/linux/reason.ts';

/** Where large things are kept until they are complete. */
export function temporaryDirectory(): string {
  if (process.env.TMPDIR) return process.env.TMPDIR;
  // /tmp is often kept in memory.
  return existsSync('/var/tmp') ? '/var/tmp' : '/tmp';
}

/**
 * Opens a new file that has no name, so that it is gone when its descriptor is.
 *
 * @param directory where there is room for it
 * @returns a descriptor to write and to read
 * @throws Error in one line
 */
export function openNameless(directory: string): number {
  const path = join(directory, `.scow-${randomBytes(8).toString('hex')}`);
  try {
    const fd = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    return fd;
  } catch (cause) {
    throw new Error(`cannot write to ${directory}: ${reason(cause)}`, { cause });
  }
}

/** Adds bytes to such a file. @throws Error in one line, as when the disk is full */
export function writeNameless(fd: number, bytes: Uint8Array, directory: string): void {
  try {
    for (let at = 0; at < bytes.byteLength; ) at += writeSync(fd, bytes, at);
  } catch (cause) {
    throw new Error(`cannot write to ${directory}: ${reason(cause)}`, { cause });
  }
}
