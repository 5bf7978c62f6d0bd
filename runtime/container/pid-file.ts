import { O } from '../linux/constants.ts';
import { renameSync, unlinkIfThere, writeFileSync } from '../linux/files.ts';
import { basename, dirname, join } from '../linux/path.ts';
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
    writeFileSync(temporary, String(pid), { flag: O.WRONLY | O.CREAT | O.EXCL });
    renameSync(temporary, file);
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST') unlinkIfThere(temporary);
    throw new Error(`cannot write the PID file ${file}: ${reason(cause)}`, { cause });
  }
}

/** Removes it, if it is there. */
export function removePidFile(file: string): void {
  unlinkIfThere(file);
}
