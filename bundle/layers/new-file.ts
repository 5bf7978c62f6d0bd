import { closeSync, fstatSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/** What a file has when it was made, so that nobody need give it that. */
export interface NewFile {
  readonly uid: number;
  readonly gid: number;
  /** The bits of a mode that `open` sets as it is told. */
  readonly settable: number;
}

const PERMISSIONS = 0o777;

/**
 * Finds out what new files are like in a tree: the umask, file systems that take no modes, and such as give
 * files the group of their directory all have a say in it.
 *
 * @param directory an empty one that nobody else writes to
 */
export function probeNewFile(directory: string): NewFile {
  const all = make(directory, PERMISSIONS);
  const none = make(directory, 0);
  const obeys = (none.mode & PERMISSIONS) === 0;
  return { uid: all.uid, gid: all.gid, settable: obeys ? all.mode & PERMISSIONS : 0 };
}

function make(directory: string, mode: number) {
  const path = join(directory, 'new');
  const fd = openSync(path, 'wx', mode);
  try {
    return fstatSync(fd);
  } finally {
    closeSync(fd);
    unlinkSync(path);
  }
}
