import { errnoCode } from '../../runtime/linux/errno.ts';
import { SyscallError, syscall, trySyscall } from '../../runtime/linux/syscall.ts';

/** ioctl_ficlone(2): `_IOW(0x94, 9, int)` */
const FICLONE = 0x40049409;
/** lseek(2) */
const SEEK = { SET: 0, DATA: 3, HOLE: 4 } as const;
/** The most that one sendfile(2) moves. */
const MOST = 0x7ffff000;

const ENXIO = errnoCode('ENXIO');

/**
 * Copies the content of a file: by sharing its blocks where the file system can do that, and else
 * by copying all but the holes.
 *
 * @param from descriptor, open for reading
 * @param into descriptor of an empty file, open for writing
 * @param size bytes
 * @throws SyscallError
 */
export function copyContent(from: number, into: number, size: number): void {
  if (size === 0 || trySyscall('ioctl', into, FICLONE, from) === 0) return;
  for (let at = 0; at < size; ) {
    const data = trySyscall('lseek', from, at, SEEK.DATA);
    if (data === -ENXIO) break;
    if (data < 0) throw new SyscallError('lseek', [from, at, SEEK.DATA], -data);
    at = syscall('lseek', from, data, SEEK.HOLE);
    copyRange(from, into, data, at);
  }
  syscall('ftruncate', into, size);
}

function copyRange(from: number, into: number, start: number, end: number): void {
  syscall('lseek', from, start, SEEK.SET);
  syscall('lseek', into, start, SEEK.SET);
  for (let left = end - start; left > 0; ) {
    const copied = syscall('sendfile', into, from, 0, Math.min(left, MOST));
    if (copied === 0) throw new Error('it became shorter while it was copied');
    left -= copied;
  }
}
