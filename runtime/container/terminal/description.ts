import { AT, F, O, TIO } from '../../linux/constants.ts';
import { fstatSync } from '../../linux/files.ts';
import { syscall, trySyscall } from '../../linux/syscall.ts';
import { readTermios } from './termios.ts';

/** A master is opened anew as the master of another terminal. */
function isMaster(fd: number): boolean {
  return trySyscall('ioctl', fd, TIO.GPTN, new Uint8Array(new ArrayBuffer(4))) === 0;
}

/**
 * Opens what stdio stands on once more, not blocking. O_NONBLOCK belongs to the open file
 * description, which stdio shares with the shell that called us, so it may only be set on one
 * of our own.
 *
 * Only terminals and pipes can be had that way. Sockets can't be opened, regular files never
 * block and have a position to share, and a terminal of another user may be refused: these
 * are duplicated, and are to be read and written only when poll(2) says so.
 *
 * @param access O.RDONLY or O.WRONLY
 * @returns a new descriptor, close-on-exec, for the caller to close; and whether it may block
 * @throws Error (EBADF) when `fd` is not open
 */
export function ownDescription(fd: number, access: number): { fd: number; blocks: boolean } {
  const file = fstatSync(fd);
  if (file.isFIFO() || (readTermios(fd) !== undefined && !isMaster(fd))) {
    const flags = access | O.NONBLOCK | O.NOCTTY | O.CLOEXEC;
    const own = trySyscall('openat', AT.FDCWD, `/proc/self/fd/${fd}`, flags, 0);
    if (own >= 0) return { fd: own, blocks: false };
  }
  return { fd: syscall('fcntl', fd, F.DUPFD_CLOEXEC, 3), blocks: !file.isFile() };
}
