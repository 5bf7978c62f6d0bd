import { TIO } from '../../linux/constants.ts';
import { syscall, trySyscall } from '../../linux/syscall.ts';

/** A terminal's size in characters. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** `struct winsize` of ioctl_tty(2): rows, columns, and two fields for pixels. */
const WINSIZE = { rows: 0, columns: 1, length: 4 } as const;

/**
 * Reads a terminal's size (TIOCGWINSZ of ioctl_tty(2)).
 *
 * @param fd either side of a terminal
 * @returns undefined when `fd` is no terminal, or one that was never given a size
 */
export function windowSize(fd: number): WindowSize | undefined {
  const winsize = new Uint16Array(new ArrayBuffer(2 * WINSIZE.length));
  if (trySyscall('ioctl', fd, TIO.GWINSZ, new Uint8Array(winsize.buffer)) < 0) return undefined;
  const rows = winsize[WINSIZE.rows] ?? 0;
  const columns = winsize[WINSIZE.columns] ?? 0;
  return rows === 0 || columns === 0 ? undefined : { rows, columns };
}

/**
 * Sets a terminal's size (TIOCSWINSZ of ioctl_tty(2)); its foreground processes get SIGWINCH
 * if it is another one. This serves `process.consoleSize` of the configuration too.
 *
 * @param fd either side of a terminal
 * @throws SyscallError (ENOTTY) when `fd` is no terminal
 */
export function setWindowSize(fd: number, { rows, columns }: WindowSize): void {
  const winsize = new Uint16Array(new ArrayBuffer(2 * WINSIZE.length));
  winsize[WINSIZE.rows] = rows;
  winsize[WINSIZE.columns] = columns;
  syscall('ioctl', fd, TIO.SWINSZ, new Uint8Array(winsize.buffer));
}
