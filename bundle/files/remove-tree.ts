import { randomBytes } from 'node:crypto';
import { AT, O, RESOLVE } from '../../runtime/linux/constants.ts';
import { errnoCode } from '../../runtime/linux/errno.ts';
import { DT_DIR, listDirectory } from '../../runtime/linux/listing.ts';
import {
  batch,
  SyscallError,
  syscall,
  trySyscall,
  writeWord,
} from '../../runtime/linux/syscall.ts';

const ENOENT = errnoCode('ENOENT');
const EACCES = errnoCode('EACCES');
const EISDIR = errnoCode('EISDIR');

/** A name with the NUL at its end: names are bytes, not always text. */
type Name = Uint8Array;

/**
 * Removes a directory and all that it holds, whatever its modes, names and depth. No symbolic
 * link is followed: everything is named relative to an open directory. Since paths and the
 * number of open descriptors have limits, a deep tree is flattened on the way: a directory moves
 * up to the top before its content is looked at. What is mounted in the tree ends it with an error.
 *
 * The tree must be one that nobody else can change, such as one below a directory of mode 0700
 * that this program made.
 *
 * @param parent descriptor of the directory that it is in
 * @param name its name there; nothing happens where there is none
 * @throws SyscallError when something cannot be removed
 */
export function removeTree(parent: number, name: string): void {
  const top = openDirectory(parent, Buffer.from(`${name}\0`));
  if (top === undefined) return;
  try {
    const prefix = `.scow-removed-${randomBytes(8).toString('hex')}-`;
    let moved = 0;
    const waiting = clear(top);
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const directory = openDirectory(top, next);
      if (directory === undefined) continue;
      for (const child of clear(directory)) {
        const target = Buffer.from(`${prefix}${moved++}\0`);
        move(directory, child, top, target);
        waiting.push(target);
      }
      syscall('close', directory);
      syscall('unlinkat', top, next, AT.REMOVEDIR);
    }
  } finally {
    syscall('close', top);
  }
  syscall('unlinkat', parent, name, AT.REMOVEDIR);
}

/** `struct open_how` of openat2(2): a directory that is neither a symbolic link nor a mount. */
const HOW = (() => {
  const how = new DataView(new ArrayBuffer(24));
  writeWord(how, 0, O.RDONLY | O.DIRECTORY | O.NOFOLLOW | O.CLOEXEC);
  writeWord(how, 16, RESOLVE.NO_XDEV);
  return new Uint8Array(how.buffer);
})();

/** Opens a directory and makes it ours to change. Without privileges its mode may forbid both. */
function openDirectory(parent: number, name: Name): number | undefined {
  const open = () => trySyscall('openat2', parent, name, HOW, HOW.length);
  let fd = open();
  if (fd === -EACCES) {
    syscall('fchmodat', parent, name, 0o700);
    fd = open();
  }
  if (fd === -ENOENT) return undefined;
  if (fd < 0) throw new SyscallError('openat2', [parent, name], -fd);
  syscall('fchmod', fd, 0o700);
  return fd;
}

/** Moves a directory, which without privileges wants the right to write to it. */
function move(from: number, name: Name, to: number, target: Name): void {
  if (trySyscall('renameat', from, name, to, target) !== -EACCES) return;
  syscall('fchmodat', from, name, 0o700);
  syscall('renameat', from, name, to, target);
}

/** Removes all but the directories from a directory. @returns the names of those */
function clear(directory: number): Name[] {
  const members = listDirectory(directory);
  const directories = members.filter(({ type }) => type === DT_DIR).map(({ name }) => name);
  const others = members.filter(({ type }) => type !== DT_DIR).map(({ name }) => name);
  const results = batch(others.map((name) => ({ name: 'unlinkat', args: [directory, name, 0] })));
  for (const [i, result] of results.entries()) {
    const name = others[i] as Name;
    // Some file systems don't tell types when they list.
    if (result === -EISDIR) directories.push(name);
    else if (result < 0) throw new SyscallError('unlinkat', [directory, name, 0], -result);
  }
  return directories;
}
