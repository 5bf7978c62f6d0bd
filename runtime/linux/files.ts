/**
 * The part of node:fs that creating, starting and deleting a container uses, made of system calls:
 * loading node:fs takes longer than all that is read and written (docs/decisions/start-cost.md).
 * Names and arguments are those of node:fs, flags and modes are numbers, and errors are
 * SyscallErrors, which have its `code`.
 */

import { AT, O, S, STATX, STATX_BASIC_STATS } from './constants.ts';
import { errnoCode } from './errno.ts';
import { DT_DIR, listDirectory } from './listing.ts';
import { type Argument, SyscallError, type SyscallName, syscall, trySyscall } from './syscall.ts';

/** Bytes read at once; what /proc and /sys hold is less. */
const CHUNK = 1 << 16;
const PATH_MAX = 4096;
const DEFAULT_MODE = 0o666;
/** Some file systems don't tell types when they list. */
const DT_UNKNOWN = 0;

let scratch: Buffer | undefined;

/** The one buffer that contents pass through. */
function chunk(): Buffer {
  scratch ??= Buffer.allocUnsafeSlow(CHUNK);
  return scratch;
}

/** A system call that a signal may interrupt before it did anything. */
function restarted(name: SyscallName, ...args: readonly Argument[]): number {
  for (;;) {
    const result = trySyscall(name, ...args);
    if (result >= 0) return result;
    if (result !== -errnoCode('EINTR')) throw new SyscallError(name, args, -result);
  }
}

/** open(2), always close-on-exec. */
export function openSync(path: string, flags: number, mode = DEFAULT_MODE): number {
  return restarted('openat', AT.FDCWD, path, flags | O.CLOEXEC, mode);
}

/** close(2) */
export function closeSync(fd: number): void {
  syscall('close', fd);
}

/** pread(2). @returns how many bytes were read */
export function readSync(
  fd: number,
  into: Uint8Array,
  offset: number,
  length: number,
  position: number,
): number {
  return restarted('pread64', fd, into.subarray(offset, offset + length), length, position);
}

/** write(2), once. @returns how many bytes were written */
export function writeSync(fd: number, content: string | Uint8Array): number {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return restarted('write', fd, bytes, bytes.length);
}

/** Reads a file, or what is left of an open one. */
export function readFileSync(file: string | number): Buffer;
export function readFileSync(file: string | number, encoding: 'utf8' | 'latin1'): string;
export function readFileSync(file: string | number, encoding?: 'utf8' | 'latin1'): Buffer | string {
  const fd = typeof file === 'number' ? file : openSync(file, O.RDONLY);
  try {
    const parts: Buffer[] = [];
    const buffer = chunk();
    let length = restarted('read', fd, buffer, CHUNK);
    // A file of /proc may give less than there is: only nothing is the end.
    for (let more = length; more > 0; ) {
      more = length < CHUNK ? restarted('read', fd, buffer.subarray(length), CHUNK - length) : 0;
      length += more;
      if (length < CHUNK) continue;
      parts.push(Buffer.from(buffer));
      more = length = restarted('read', fd, buffer, CHUNK);
    }
    const last = buffer.subarray(0, length);
    const whole = parts.length === 0 ? last : Buffer.concat([...parts, last]);
    return encoding === undefined ? Buffer.from(whole) : whole.toString(encoding);
  } finally {
    if (typeof file !== 'number') closeSync(fd);
  }
}

/** Writes a file: by default a new one, or in place of what was in it. */
export function writeFileSync(
  path: string,
  content: string | Uint8Array,
  {
    flag = O.WRONLY | O.CREAT | O.TRUNC,
    mode = DEFAULT_MODE,
  }: { readonly flag?: number; readonly mode?: number } = {},
): void {
  const fd = openSync(path, flag, mode);
  try {
    let left = typeof content === 'string' ? Buffer.from(content) : content;
    while (left.length > 0) left = left.subarray(writeSync(fd, left));
  } finally {
    closeSync(fd);
  }
}

/** access(2) with F_OK: whether a path leads to something. */
export function existsSync(path: string): boolean {
  return trySyscall('access', path, 0) === 0;
}

/** readlink(2) */
export function readlinkSync(path: string): string {
  const buffer = chunk();
  return buffer.toString('utf8', 0, restarted('readlink', path, buffer, PATH_MAX));
}

/** The path without symlinks, `.` and `..`, by which the kernel knows a file. */
export function realpathSync(path: string): string {
  const fd = openSync(path, O.PATH);
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

/** mkdir(2) */
export function mkdirSync(path: string, mode = 0o777): void {
  restarted('mkdirat', AT.FDCWD, path, mode);
}

/** rmdir(2) */
export function rmdirSync(path: string): void {
  restarted('unlinkat', AT.FDCWD, path, AT.REMOVEDIR);
}

/** unlink(2) */
export function unlinkSync(path: string): void {
  restarted('unlinkat', AT.FDCWD, path, 0);
}

/** unlink(2) of what may be gone already. */
export function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as SyscallError).code !== 'ENOENT') throw error;
  }
}

/** rename(2) */
export function renameSync(from: string, to: string): void {
  restarted('renameat', AT.FDCWD, from, AT.FDCWD, to);
}

/** chmod(2) */
export function chmodSync(path: string, mode: number): void {
  restarted('fchmodat', AT.FDCWD, path, mode);
}

/** chown(2); -1 leaves an ID as it is. */
export function chownSync(path: string, uid: number, gid: number): void {
  restarted('fchownat', AT.FDCWD, path, uid, gid, 0);
}

/** `f_type` of statfs(2), of the file system that a path is on. */
export function fileSystemTypeOf(path: string): number {
  const buffer = chunk();
  restarted('statfs', path, buffer);
  return Number(buffer.readBigInt64LE(0));
}

/** What statx(2) tells of a file. */
export class Stats {
  /** Type and permissions. */
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  /** The file itself: no other has it at the same time. */
  readonly identity: string;

  constructor(statx: Buffer) {
    this.mode = statx.readUInt16LE(STATX.mode);
    this.size = Number(statx.readBigUInt64LE(STATX.size));
    this.identity = `${statx.readUInt32LE(STATX.devMajor)}:${statx.readUInt32LE(STATX.devMinor)}:${statx.readBigUInt64LE(STATX.inode)}`;
  }

  isDirectory(): boolean {
    return this.#is(S.IFDIR);
  }

  isFile(): boolean {
    return this.#is(S.IFREG);
  }

  isSymbolicLink(): boolean {
    return this.#is(S.IFLNK);
  }

  isSocket(): boolean {
    return this.#is(S.IFSOCK);
  }

  isFIFO(): boolean {
    return this.#is(S.IFIFO);
  }

  #is(type: number): boolean {
    return (this.mode & S.IFMT) === type;
  }
}

/** stat(2) */
export function statSync(path: string): Stats {
  return statAt(AT.FDCWD, path, 0);
}

/** stat(2). @returns undefined where there is nothing */
export function statIfThere(path: string): Stats | undefined {
  const found = tryStatAt(path, 0);
  if (typeof found !== 'number') return found;
  if (found === errnoCode('ENOENT') || found === errnoCode('ENOTDIR')) return undefined;
  throw new SyscallError('statx', [AT.FDCWD, path], found);
}

/** lstat(2) */
export function lstatSync(path: string): Stats {
  return statAt(AT.FDCWD, path, AT.SYMLINK_NOFOLLOW);
}

/** lstat(2). @returns undefined for what cannot be looked at */
export function tryLstat(path: string): Stats | undefined {
  const found = tryStatAt(path, AT.SYMLINK_NOFOLLOW);
  return typeof found === 'number' ? undefined : found;
}

/** fstat(2) */
export function fstatSync(fd: number): Stats {
  return statAt(fd, '', AT.EMPTY_PATH);
}

function statAt(directory: number, path: string, flags: number): Stats {
  const buffer = chunk();
  restarted('statx', directory, path, flags, STATX_BASIC_STATS, buffer);
  return new Stats(buffer);
}

/** Without an exception: many paths are looked at that are not there. @returns an errno otherwise */
function tryStatAt(path: string, flags: number): Stats | number {
  const buffer = chunk();
  const result = trySyscall('statx', AT.FDCWD, path, flags, STATX_BASIC_STATS, buffer);
  return result < 0 ? -result : new Stats(buffer);
}

/** Lists a directory, in no order: names, and which are directories. */
export function listSync(path: string): { readonly name: string; readonly directory: boolean }[] {
  const fd = openSync(path, O.RDONLY | O.DIRECTORY);
  try {
    return listDirectory(fd).map(({ name, type }) => {
      const text = Buffer.from(name.subarray(0, -1)).toString();
      const directory =
        type === DT_UNKNOWN ? lstatSync(`${path}/${text}`).isDirectory() : type === DT_DIR;
      return { name: text, directory };
    });
  } finally {
    closeSync(fd);
  }
}
