import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isatty } from 'node:tty';
import { STDOUT, write } from '../../runtime/linux/output.ts';
import { reason } from '../../runtime/linux/reason.ts';
import { syncDirectory } from './replace-file.ts';

/** A file or a pipe that is being written. */
export interface OutputFile {
  /** As the user named it. */
  readonly name: string;
  /** @throws Error in one line */
  write(bytes: Uint8Array): void;
  /** Puts the file in its place: what was there is whole until now. */
  finish(): void;
  /** Without `finish` nothing is left of a file. */
  close(): void;
}

/**
 * Opens what a user names to be written. A file appears under its name when it is complete.
 *
 * @param path a file; standard output where undefined or `-`
 * @throws Error in one line: a terminal, or what can't be written to
 */
export function openOutput(path: string | undefined): OutputFile {
  if (path === undefined || path === '-') {
    if (isatty(STDOUT))
      throw new Error('standard output is a terminal: name a file, or use a pipe');
    return opened(STDOUT, 'standard output', { finish() {}, close() {} });
  }
  return attempt(path, () => {
    const present = statSync(path, { throwIfNoEntry: false });
    if (present?.isDirectory()) throw new Error('it is a directory');
    if (present !== undefined && !present.isFile()) {
      const fd = openSync(path, 'w');
      return opened(fd, path, { finish() {}, close: () => closeSync(fd) });
    }
    return newFile(path);
  });
}

function newFile(path: string): OutputFile {
  const name = `.${basename(path).slice(0, 100)}.scow-${randomBytes(4).toString('hex')}`;
  const temporary = join(dirname(path), name);
  const fd = openSync(temporary, 'wx', 0o666);
  let finished = false;
  return opened(fd, path, {
    finish() {
      attempt(path, () => {
        fsyncSync(fd);
        renameSync(temporary, path);
        finished = true;
        syncDirectory(dirname(path));
      });
    },
    close() {
      closeSync(fd);
      if (!finished) rmSync(temporary, { force: true });
    },
  });
}

function opened(fd: number, name: string, rest: Pick<OutputFile, 'finish' | 'close'>): OutputFile {
  return { name, write: (bytes) => attempt(name, () => write(fd, bytes)), ...rest };
}

function attempt<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new Error(`cannot write to ${name}: ${reason(cause)}`, { cause });
  }
}
