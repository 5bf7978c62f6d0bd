import { closeSync, constants, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { write } from '../../runtime/linux/output.ts';

/**
 * Replaces a file, in one step that also a loss of power leaves done or not done.
 *
 * @param temporary a name in the same file system, which nobody else uses now
 * @throws Error of node:fs; the file is as it was then
 */
export function replaceFile(path: string, temporary: string, text: string): void {
  try {
    const fd = openSync(temporary, 'w', 0o644);
    try {
      write(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectory(dirname(path));
}

/** Makes sure that the names in a directory survive a loss of power: fsync(2). */
export function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
