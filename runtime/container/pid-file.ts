import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { codeOf, reason } from '../linux/reason.ts';

/**
 * Writes a process's PID to a file: a reader sees the whole PID or no file.
 *
 * @throws Error in one line
 */
export function writePidFile(file: string, pid: number): void {
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}`);
  try {
    // Never through a link that somebody laid there.
    writeFileSync(temporary, String(pid), { mode: 0o666, flag: 'wx' });
    renameSync(temporary, file);
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST') rmSync(temporary, { force: true });
    throw new Error(`cannot write the PID file ${file}: ${reason(cause)}`, { cause });
  }
}

/** Removes it, if it is there. */
export function removePidFile(file: string): void {
  rmSync(file, { force: true });
}
