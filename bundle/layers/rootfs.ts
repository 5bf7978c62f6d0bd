import { closeSync, readdirSync } from 'node:fs';
import { AT, O, S } from '../../runtime/linux/constants.ts';
import { errnoCode } from '../../runtime/linux/errno.ts';
import { reason } from '../../runtime/linux/reason.ts';
import { type Argument, syscall, trySyscall } from '../../runtime/linux/syscall.ts';
import { copyContent } from './copy-content.ts';
import { Directories } from './directories.ts';
import type { Handle, Origin } from './gathered.ts';
import { latin1, printable } from './names.ts';
import { type NewFile, probeNewFile } from './new-file.ts';
import { mayBring, type Privileges, rootlessOwner } from './privileges.ts';
import { Script } from './script.ts';
import type { Xattr } from './tar/entry.ts';
import type { LayerTarget, Spot } from './target.ts';
import type { Attributes, Directory, Tree } from './tree.ts';

const EPERM = errnoCode('EPERM');
const EOPNOTSUPP = errnoCode('EOPNOTSUPP');
const EINVAL = errnoCode('EINVAL');

/** The file whose content is being written. */
interface OpenFile {
  readonly handle: Handle;
  readonly attributes: Attributes;
  /** Whether it was made with its mode and its owner. */
  readonly isComplete: boolean;
  /** Bytes, with a hole at the end that no content reaches. */
  readonly size: number;
  /** Where the last content ended. */
  end: number;
}

/**
 * The root filesystem on disk. Everything here is done to a name in a directory whose
 * descriptor the kernel opened below the root, by calls that follow no symbolic link and create
 * only what wasn't there. Directories belong to the caller alone until `finish`, which gives
 * them their own attributes: their times stay as they are then, and files can be put into those
 * that nobody may write to.
 */
export class Rootfs implements LayerTarget {
  readonly #script: Script;
  readonly #tree: Tree;
  readonly #directories: Directories;
  readonly #root: number;
  readonly #newFile: NewFile;
  readonly #privileges: Privileges;
  readonly #warn: (line: string) => void;
  readonly #warned = new Set<string>();
  #file: OpenFile | undefined;

  /**
   * @param path an empty directory
   * @throws Error when it is none, or can't be opened
   */
  constructor(path: string, tree: Tree, privileges: Privileges, warn: (line: string) => void) {
    this.#root = openRoot(path);
    this.#newFile = newFileIn(path, this.#root, privileges);
    this.#script = new Script();
    this.#tree = tree;
    this.#directories = new Directories(this.#script, tree, this.#root);
    this.#privileges = privileges;
    this.#warn = warn;
  }

  begin(origin: Origin): void {
    this.#script.begin(origin);
  }

  createFile({ directory, name }: Spot, attributes: Attributes, size: number): void {
    const flags = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW | O.CLOEXEC;
    const parent = this.#directories.use(directory);
    const { mode, uid, gid, xattrs } = attributes;
    const born = this.#newFile;
    const isComplete =
      (mode & ~born.settable) === 0 && uid === born.uid && gid === born.gid && xattrs.length === 0;
    const args = [parent, this.#script.text(name), flags, isComplete ? mode : 0o600];
    const handle = this.#script.open('openat', args);
    this.#file = { handle, attributes, isComplete, size, end: 0 };
  }

  write(bytes: Uint8Array, offset: number): void {
    const file = this.#file as OpenFile;
    this.begin(file.attributes.origin);
    this.#script.write(file.handle, bytes, offset);
    file.end = offset + bytes.byteLength;
  }

  holds(memory: ArrayBufferLike): boolean {
    return this.#script.holds(memory);
  }

  /** Copies the content of an open file into the one that was created last. */
  copyContent(source: number): void {
    const file = this.#file as OpenFile;
    copyContent(source, this.#script.number(file.handle), file.size);
    file.end = file.size;
  }

  /** Sets an extended attribute of the file that was created last. */
  markFile(name: string, value: string): void {
    this.#mark(this.#script.use((this.#file as OpenFile).handle), name, value);
  }

  endFile(): void {
    const { handle, attributes, isComplete, size, end } = this.#file as OpenFile;
    const script = this.#script;
    const fd = script.use(handle);
    if (end < size) script.call('ftruncate', [fd, size]);
    if (isComplete) script.call('utimensat', [fd, 0, script.times(attributes.mtime), 0]);
    else this.#describe(() => fd, attributes);
    script.close(handle);
    this.#file = undefined;
  }

  /**
   * Puts a file in its place that was written before, with all its attributes.
   *
   * @param from descriptor of the directory that it is in
   * @param as its name there
   */
  adoptFile({ directory, name }: Spot, from: number, as: string): void {
    const script = this.#script;
    const parent = this.#directories.use(directory);
    script.call('renameat', [from, script.text(as), parent, script.text(name)]);
  }

  createDirectory({ directory, name }: Spot): void {
    const parent = this.#directories.use(directory);
    this.#script.call('mkdirat', [parent, this.#script.text(name), 0o700]);
  }

  createSymlink(spot: Spot, target: string, attributes: Attributes): void {
    const parent = this.#directories.use(spot.directory);
    const script = this.#script;
    script.call('symlinkat', [script.text(target), parent, script.text(spot.name)]);
    this.#describeNode(spot, attributes, false);
  }

  createHardLink(spot: Spot, existing: Spot): void {
    const script = this.#script;
    // The first use can close no descriptor that the second needs: more than two are kept.
    const from = this.#directories.use(existing.directory);
    const to = this.#directories.use(spot.directory);
    script.call('linkat', [from, script.text(existing.name), to, script.text(spot.name), 0]);
  }

  createNode(spot: Spot, type: number, device: number, attributes: Attributes): void {
    if (type !== S.IFIFO && this.#privileges !== 'full') {
      this.#warnOnce('devices', attributes.origin, 'an empty file takes the place of a device');
      this.createFile(spot, attributes, 0);
      this.endFile();
      return;
    }
    const parent = this.#directories.use(spot.directory);
    const text = this.#script.text(spot.name);
    this.#script.call('mknodat', [parent, text, type | 0o600, device]);
    this.#describeNode(spot, attributes, true);
  }

  unlink({ directory, name }: Spot): void {
    this.#script.call('unlinkat', [this.#directories.use(directory), this.#script.text(name), 0]);
  }

  removeDirectory(directory: Directory): void {
    this.#directories.forget(directory);
    const parent = this.#directories.use(directory.parent as Directory);
    const text = this.#script.text(directory.name);
    this.#script.call('unlinkat', [parent, text, AT.REMOVEDIR]);
  }

  /** Creates what tells an overlay mount that a name of lower layers is gone. */
  createWhiteout({ directory, name }: Spot): void {
    const parent = this.#directories.use(directory);
    this.#script.call('mknodat', [parent, this.#script.text(name), S.IFCHR, 0]);
  }

  /** Sets an extended attribute of a directory. */
  mark(directory: Directory, name: string, value: string): void {
    this.begin(directory.attributes.origin);
    this.#mark(this.#directories.use(directory), name, value);
  }

  /** Makes all calls that wait. */
  flush(): void {
    this.#script.flush();
  }

  /**
   * Gives every directory its attributes, children first: a parent may shut its children off.
   *
   * @param isHere whether a directory of the tree is on this disk
   */
  finish(isHere: (directory: Directory) => boolean = () => true): void {
    this.#finishDirectory(this.#tree.root, isHere);
    this.#script.flush();
  }

  /** Closes all descriptors. */
  close(): void {
    this.#script.dispose();
    closeSync(this.#root);
  }

  #mark(fd: Argument, name: string, value: string): void {
    const bytes = Buffer.from(value);
    this.#script.call('fsetxattr', [fd, this.#script.text(name), bytes, bytes.length, 0]);
  }

  #finishDirectory(directory: Directory, isHere: (directory: Directory) => boolean): void {
    for (const child of directory.children.values())
      if (child.kind === 'directory' && isHere(child)) this.#finishDirectory(child, isHere);
    this.begin(directory.attributes.origin);
    this.#describe(() => this.#directories.use(directory), directory.attributes);
    this.#directories.forget(directory);
  }

  /**
   * Sets the attributes of what is open, in the only order that keeps them: a new owner takes
   * setuid and capabilities away, a mode may forbid even its owner to set `user` attributes
   * (xattr(7)), and an access control list has the last word on the mode.
   */
  #describe(fd: () => Argument, attributes: Attributes): void {
    const { uid, gid, mode, mtime, origin } = attributes;
    const script = this.#script;
    const xattrs = this.#xattrs(attributes, true);
    const set = ({ name, value }: Xattr) => {
      const args = [fd(), script.text(latin1(name)), value, value.length, 0];
      script.call('fsetxattr', args, this.#tolerateXattr(name, origin));
    };
    if (this.#privileges !== 'rootless') script.call('fchown', [fd(), uid, gid]);
    for (const xattr of xattrs) if (isUser(xattr)) set(xattr);
    script.call('fchmod', [fd(), mode]);
    for (const xattr of xattrs) if (!isUser(xattr)) set(xattr);
    script.call('utimensat', [fd(), 0, script.times(mtime), 0]);
  }

  /** Sets the attributes of what can't be opened without effect: links, devices, FIFOs. */
  #describeNode(spot: Spot, attributes: Attributes, hasMode: boolean): void {
    const { uid, gid, mode, mtime } = attributes;
    const script = this.#script;
    const parent = () => this.#directories.use(spot.directory);
    const name = script.text(spot.name);
    if (this.#privileges !== 'rootless')
      script.call('fchownat', [parent(), name, uid, gid, AT.SYMLINK_NOFOLLOW]);
    // It was just made in a directory that is closed to others, so it is no symbolic link.
    if (hasMode) script.call('fchmodat', [parent(), name, mode]);
    script.call('utimensat', [parent(), name, script.times(mtime), AT.SYMLINK_NOFOLLOW]);
    this.#setNodeXattrs(spot, attributes);
  }

  /** There is no setxattrat(2) before Linux 6.13: the name is reached through the descriptor. */
  #setNodeXattrs({ directory, name }: Spot, attributes: Attributes): void {
    const script = this.#script;
    for (const xattr of this.#xattrs(attributes, false)) {
      const fd = this.#directories.number(directory);
      const path = script.text(`/proc/self/fd/${fd}/${name}`);
      const key = script.text(latin1(xattr.name));
      const args = [path, key, xattr.value, xattr.value.length, 0];
      script.call('lsetxattr', args, this.#tolerateXattr(xattr.name, attributes.origin));
    }
  }

  /** @param takesUser whether the kernel lets it have attributes of the `user` class, xattr(7) */
  #xattrs({ uid, gid, xattrs, origin }: Attributes, takesUser: boolean): readonly Xattr[] {
    const allowed = xattrs.filter(({ name }) => {
      const may = mayBring(name, this.#privileges);
      if (!may) this.#warnOnce(`forbidden ${name}`, origin, `${printable(name)} is left out`);
      return may;
    });
    const owner =
      this.#privileges === 'rootless' && takesUser ? rootlessOwner(uid, gid) : undefined;
    return owner === undefined ? allowed : [...allowed, owner];
  }

  #tolerateXattr(name: Buffer, origin: Origin): (errno: number) => boolean {
    return (errno) => {
      const unprivileged = this.#privileges !== 'full' && (errno === EPERM || errno === EINVAL);
      if (errno !== EOPNOTSUPP && !unprivileged) return false;
      const why = unprivileged ? 'it takes a privilege' : 'the filesystem does not support it';
      this.#warnOnce(`${errno} ${name}`, origin, `${printable(name)} is left out: ${why}`);
      return true;
    };
  }

  #warnOnce(topic: string, { layer, name }: Origin, message: string): void {
    if (this.#warned.has(topic)) return;
    this.#warned.add(topic);
    this.#warn(`${layer}: ${printable(name)}: ${message} (told once)`);
  }
}

/** Opens the root, and closes it to others until it is finished. */
function openRoot(path: string): number {
  let root: number | undefined;
  try {
    root = syscall('openat', AT.FDCWD, path, O.RDONLY | O.DIRECTORY | O.CLOEXEC, 0);
    if (readdirSync(path).length > 0) throw new Error('the directory is not empty');
    syscall('fchmod', root, 0o700);
  } catch (cause) {
    if (root !== undefined) closeSync(root);
    throw new Error(`${path}: no root filesystem can be made here: ${reason(cause)}`, { cause });
  }
  // What the parent directory gives its children would be given on to every file.
  trySyscall('fremovexattr', root, 'system.posix_acl_default');
  trySyscall('fremovexattr', root, 'system.posix_acl_access');
  return root;
}

/** What new files have; for `rootless`, whose owner is kept as if it were root. */
function newFileIn(path: string, root: number, privileges: Privileges): NewFile {
  try {
    const born = probeNewFile(`/proc/self/fd/${root}`);
    return privileges === 'rootless' ? { ...born, uid: 0, gid: 0 } : born;
  } catch (cause) {
    closeSync(root);
    throw new Error(`${path}: no file can be made here: ${reason(cause)}`, { cause });
  }
}

function isUser({ name }: Xattr): boolean {
  return latin1(name).startsWith('user.');
}
