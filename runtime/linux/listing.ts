import { syscall } from './syscall.ts';

/** `struct linux_dirent64`: getdents64(2). */
const DIRENT = { length: 16, type: 18, name: 19 } as const;

/** Bytes of one reading of a directory. */
const LISTING = 64 * 1024;

export const DT_DIR = 4;

/** A file in a directory. */
export interface Member {
  /** With the NUL at its end: names are bytes, not always text. */
  readonly name: Uint8Array;
  /** `DT_*`; 0 where the file system doesn't tell when it lists. */
  readonly type: number;
}

/**
 * Lists a directory, in no order, without `.` and `..`.
 *
 * @param directory a descriptor of it that was not read from yet
 * @throws SyscallError when it cannot be read
 */
export function listDirectory(directory: number): Member[] {
  const members: Member[] = [];
  const buffer = Buffer.alloc(LISTING);
  for (;;) {
    const filled = syscall('getdents64', directory, buffer, buffer.length);
    if (filled === 0) return members;
    for (const member of membersIn(buffer, filled)) members.push(member);
  }
}

/**
 * Reads what getdents64(2) wrote, without `.` and `..`.
 *
 * @param filled bytes of it
 */
export function membersIn(buffer: Buffer, filled: number): Member[] {
  const members: Member[] = [];
  for (let at = 0; at < filled; at += buffer.readUInt16LE(at + DIRENT.length)) {
    const start = at + DIRENT.name;
    const end = buffer.indexOf(0, start) + 1;
    const name = Uint8Array.prototype.slice.call(buffer, start, end);
    const text = Buffer.from(name).toString('latin1');
    if (text !== '.\0' && text !== '..\0')
      members.push({ name, type: buffer[at + DIRENT.type] as number });
  }
  return members;
}
