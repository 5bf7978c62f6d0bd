import { MAGIC, O, RESOLVE } from '../linux/constants.ts';
import { errnoCode } from '../linux/errno.ts';
import { closeSync, fstatSync, openSync, readSync } from '../linux/files.ts';
import { tryOpenat2 } from '../linux/openat2.ts';
import { reason } from '../linux/reason.ts';
import { readWord, SyscallError, syscall } from '../linux/syscall.ts';
import { type Account, type Group, parseGroup, parsePasswd } from '../linux/user-database.ts';
import { debug } from './log.ts';

/** Bytes of a user database that are read; real ones have a few thousand. */
const MOST_BYTES = 1 << 20;
const DEFAULT = '/';
const KERNEL_FILESYSTEMS: ReadonlySet<number> = new Set([
  MAGIC.PROC_SUPER,
  MAGIC.SYSFS,
  MAGIC.CGROUP2_SUPER,
]);

/**
 * The home directory of a user, as the container's /etc/passwd has it (passwd(5)).
 *
 * @param root descriptor of the container's root directory
 * @returns the directory; `/` when the file or the user is not there
 */
export function homeOf(uid: number, root: number): string {
  try {
    return readAccounts(root).find((account) => account.uid === uid)?.home || DEFAULT;
  } catch (error) {
    debug((error as Error).message);
    return DEFAULT;
  }
}

/**
 * The accounts of the container's /etc/passwd.
 *
 * @param root descriptor of its root directory
 * @returns none when there is no such file
 * @throws Error in one line when it cannot be read
 */
export function readAccounts(root: number): Account[] {
  return parsePasswd(readDatabase(root, 'etc/passwd'));
}

/**
 * The groups of the container's /etc/group.
 *
 * @param root descriptor of its root directory
 * @returns none when there is no such file
 * @throws Error in one line when it cannot be read
 */
export function readGroups(root: number): Group[] {
  return parseGroup(readDatabase(root, 'etc/group'));
}

/**
 * Reads a regular file inside the root and no other: it's the image's, not ours. It is looked at
 * before it is opened, for opening a device can do harm, and so can reading a file of the kernel's.
 */
function readDatabase(root: number, path: string): string {
  try {
    const resolve = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS;
    const found = tryOpenat2(root, path, O.PATH, resolve);
    if (found === -errnoCode('ENOENT')) return '';
    if (found < 0) throw new SyscallError('openat2', [root, path, O.PATH, resolve], -found);
    try {
      if (!fstatSync(found).isFile() || isKernelFile(found))
        throw new Error('it is no regular file');
      return readStart(`/proc/self/fd/${found}`);
    } finally {
      closeSync(found);
    }
  } catch (cause) {
    throw new Error(`cannot read the container's /${path}: ${reason(cause)}`, { cause });
  }
}

function readStart(file: string): string {
  const fd = openSync(file, O.RDONLY | O.NONBLOCK | O.CLOEXEC);
  try {
    const bytes = Buffer.alloc(Math.min(fstatSync(fd).size, MOST_BYTES));
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}

/** statfs(2): the magic number of the filesystem is the first word of the answer. */
function isKernelFile(fd: number): boolean {
  const answer = new Uint8Array(120);
  syscall('fstatfs', fd, answer);
  return KERNEL_FILESYSTEMS.has(readWord(new DataView(answer.buffer), 0));
}
