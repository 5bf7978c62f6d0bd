import { closeSync, fstatSync, readdirSync } from 'node:fs';
import { O, RESOLVE } from '../../runtime/linux/constants.ts';
import { openat2 } from '../../runtime/linux/openat2.ts';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import type { Extent, Storage } from './storage.ts';

/**
 * Serves a layout from a directory. Names are resolved below that directory: a symbolic link may
 * point to another place inside (builders share blobs so), never outside.
 *
 * @param path the directory as the user named it
 * @param fd the directory, open; it is closed by `close`
 */
export function directoryStorage(path: string, fd: number): Storage {
  return {
    path,
    topLevel: () => readdirSync(path).sort(),
    open: (name) => openFile(fd, name),
    close: () => closeSync(fd),
  };
}

function openFile(directory: number, name: string): Extent | undefined {
  let fd: number;
  try {
    // NONBLOCK: opening a FIFO must not wait for somebody to write into it.
    fd = openat2(
      directory,
      name,
      O.RDONLY | O.NONBLOCK | O.NOCTTY,
      RESOLVE.BENEATH | RESOLVE.NO_MAGICLINKS,
    );
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'EXDEV')
      throw new Error(`${name} is a symbolic link that leads out of the layout`, { cause: error });
    throw new Error(`cannot open ${name}: ${reason(error)}`, { cause: error });
  }
  const status = fstatSync(fd);
  if (!status.isFile()) {
    closeSync(fd);
    throw new Error(
      `${name} is ${status.isDirectory() ? 'a directory' : 'a special file'}, not a file`,
    );
  }
  return { fd, position: 0, size: status.size, owned: true };
}
