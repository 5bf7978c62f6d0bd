import { closeSync, fstatSync } from 'node:fs';
import { O, S } from '../../runtime/linux/constants.ts';
import { type Argument, trySyscall, writeWord } from '../../runtime/linux/syscall.ts';
import type { TarEntry } from '../layers/tar/entry.ts';

/** @throws Error for a device, a FIFO or a socket: a file in its place is hardly what is wanted */
export function refuseSpecial(parent: number, name: string): void {
  const fd = trySyscall('openat', parent, text(name), O.PATH | O.NOFOLLOW | O.CLOEXEC, 0);
  if (fd < 0) return;
  try {
    const found = fstatSync(fd);
    if (!found.isFile() && !found.isSymbolicLink() && !found.isDirectory())
      throw new Error('there is a device, a FIFO or a socket, which is not replaced');
  } finally {
    closeSync(fd);
  }
}

/** The type as mknod(2) takes it. */
export function typeOf({ type }: TarEntry): number {
  if (type === 'FIFO') return S.IFIFO;
  return type === 'block device' ? S.IFBLK : S.IFCHR;
}

/** As `struct timespec[2]` of utimensat(2): access and modification. */
export function times({ mtime }: TarEntry): Argument {
  const view = new DataView(new ArrayBuffer(32));
  for (const at of [0, 16]) {
    writeWord(view, at, mtime.seconds);
    writeWord(view, at + 8, mtime.nanoseconds);
  }
  return new Uint8Array(view.buffer);
}

/** A name or path as the kernel takes it. */
export function text(name: string): Buffer {
  return Buffer.from(`${name}\0`, 'latin1');
}
