import { chmodSync, closeSync, fstatSync, lstatSync, openSync } from 'node:fs';
import {
  AT,
  O,
  RESOLVE,
  S,
  STATX,
  STATX_BASIC_STATS,
  STATX_SIZE,
} from '../../../runtime/linux/constants.ts';
import { errnoCode, explainErrno } from '../../../runtime/linux/errno.ts';
import { listDirectory } from '../../../runtime/linux/listing.ts';
import { openat2 } from '../../../runtime/linux/openat2.ts';
import { port } from '../../../runtime/linux/port.ts';
import { codeOf, reason } from '../../../runtime/linux/reason.ts';
import { batch, type Call, readWord, trySyscall } from '../../../runtime/linux/syscall.ts';
import { latin1 } from '../names.ts';
import { mayBring, parseRootlessOwner } from '../privileges.ts';
import type { Xattr } from '../tar/entry.ts';
import type { Time } from '../tar/fields.ts';
import {
  changedError,
  type DiskAccess,
  DiskFile,
  displayPath,
  type FileStatus,
  type FileType,
} from './disk-file.ts';

/** How a tree is to be understood. */
export interface TreeForm {
  /** Whether it is a layer of an overlay, with its whiteouts and opaque directories. */
  readonly overlay: boolean;
  /** Whether it was made without privileges: files are the caller's, who stands for root. */
  readonly rootless: boolean;
}

const TYPES: Readonly<Record<number, FileType>> = {
  [S.IFREG]: 'file',
  [S.IFDIR]: 'directory',
  [S.IFLNK]: 'symbolic link',
  [S.IFCHR]: 'character device',
  [S.IFBLK]: 'block device',
  [S.IFIFO]: 'FIFO',
  [S.IFSOCK]: 'socket',
};

/** Files that are asked about in one batch of calls. */
const MANY = 128;
/** Room for the names of a file's extended attributes: enough for nearly all. */
const NAMES = 512;
/** As long as lists and values of extended attributes get: xattr(7). */
const XATTR_LIMIT = 64 * 1024;

const ERANGE = errnoCode('ERANGE');
const EACCES = errnoCode('EACCES');
const NO_XATTRS = [errnoCode('EOPNOTSUPP'), errnoCode('ENODATA')];
const OVERLAY = /^(trusted|user)\.overlay\./;

/**
 * A directory with all that is in it, read by descriptors that the kernel opens below its root
 * without following a symbolic link: whatever the tree becomes meanwhile, nothing outside of it
 * is read.
 */
export class DiskTree implements DiskAccess {
  readonly #root: number;
  readonly #path: string;
  readonly #form: TreeForm;
  readonly #status = Buffer.alloc(MANY * STATX_SIZE);
  readonly #names = Buffer.alloc(MANY * NAMES);

  /** @throws Error in one line when it can't be opened */
  constructor(path: string, form: TreeForm) {
    try {
      this.#root = openSync(path, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    } catch (cause) {
      const link = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink();
      const why = link ? 'it is a symbolic link, which is not followed' : reason(cause);
      throw new Error(`cannot open ${path}: ${why}`, { cause });
    }
    this.#path = path;
    this.#form = form;
  }

  close(): void {
    closeSync(this.#root);
  }

  /** The tree's root itself. */
  root(): DiskFile {
    return this.#look(this.#root, '', [Buffer.from('.\0')]).get('.') as DiskFile;
  }

  /** A file in the tree's root. @returns undefined where there is none */
  file(name: string): DiskFile | undefined {
    const path = Buffer.from(`${name}\0`, 'latin1');
    const flags = AT.SYMLINK_NOFOLLOW | AT.NO_AUTOMOUNT;
    const there = trySyscall('statx', this.#root, path, flags, 0, this.#status) >= 0;
    return there ? this.#look(this.#root, '', [path]).get(name) : undefined;
  }

  open(path: string, flags: number): number {
    try {
      return this.#open(path, flags);
    } catch (cause) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(codeOf(cause) ?? '')) throw changedError(path);
      throw new Error(`${this.#path}: cannot read ${displayPath(path)}: ${reason(cause)}`, {
        cause,
      });
    }
  }

  #open(path: string, flags: number): number {
    try {
      return this.#openAsItIs(path, flags);
    } catch (cause) {
      if (!this.#form.rootless || codeOf(cause) !== 'EACCES') throw cause;
      return this.#permitted(path, () => this.#openAsItIs(path, flags));
    }
  }

  #openAsItIs(path: string, flags: number): number {
    const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS;
    return openat2(this.#root, Buffer.from(`${path || '.'}\0`, 'latin1'), flags, resolve);
  }

  /** Where its own mode keeps the owner out, who would be root, it is changed for the moment. */
  #permitted<T>(path: string, read: () => T): T {
    const found = this.#openAsItIs(path, O.PATH | O.NOFOLLOW);
    const file = `/proc/self/fd/${found}`;
    try {
      const { mode } = fstatSync(found);
      chmodSync(file, (mode & 0o7777) | 0o500);
      try {
        return read();
      } finally {
        chmodSync(file, mode & 0o7777);
      }
    } finally {
      closeSync(found);
    }
  }

  readLink(path: string): string {
    const fd = this.open(path, O.PATH | O.NOFOLLOW);
    try {
      const target = Buffer.alloc(4096);
      const length = trySyscall('readlinkat', fd, '', target, target.length);
      if (length < 0) throw changedError(path);
      return target.toString('latin1', 0, length);
    } finally {
      closeSync(fd);
    }
  }

  list(path: string): ReadonlyMap<string, DiskFile> {
    const fd = this.open(path, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    try {
      const names = listDirectory(fd).map(({ name }) => name);
      return this.#look(fd, path, names.sort(Buffer.compare));
    } finally {
      closeSync(fd);
    }
  }

  #look(directory: number, path: string, names: readonly Uint8Array[]): Map<string, DiskFile> {
    const found = new Map<string, DiskFile>();
    for (let at = 0; at < names.length; at += MANY) {
      const part = names.slice(at, at + MANY);
      const calls = this.#calls(directory, part);
      const results = batch(calls);
      for (const [i, bytes] of part.entries()) {
        const name = latin1(bytes.subarray(0, -1));
        const child = name === '.' ? '' : path === '' ? name : `${path}/${name}`;
        const [status, listed] = [results[2 * i] as number, results[2 * i + 1] as number];
        if (status < 0) throw changedError(child);
        const xattrs = this.#xattrs(directory, name, child, i, listed);
        found.set(name, this.#file(child, i, xattrs));
      }
    }
    return found;
  }

  /** For each name its status and the names of its extended attributes. */
  #calls(directory: number, names: readonly Uint8Array[]): Call[] {
    const status = port().addressOf(this.#status);
    const list = port().addressOf(this.#names);
    return names.flatMap((name, i): Call[] => {
      const flags = AT.SYMLINK_NOFOLLOW | AT.NO_AUTOMOUNT;
      const address = status + i * STATX_SIZE;
      return [
        { name: 'statx', args: [directory, name, flags, STATX_BASIC_STATS, address] },
        // There is no listxattrat(2) before Linux 6.13: the name is reached through the descriptor.
        { name: 'llistxattr', args: [procPath(directory, latin1(name)), list + i * NAMES, NAMES] },
      ];
    });
  }

  #xattrs(directory: number, name: string, path: string, i: number, listed: number): Xattr[] {
    if (listed === 0 || NO_XATTRS.includes(-listed)) return [];
    const file = procPath(directory, `${name}\0`);
    let names = this.#names.toString('latin1', i * NAMES, i * NAMES + Math.max(0, listed));
    if (listed === -ERANGE) {
      const all = Buffer.alloc(XATTR_LIMIT);
      names = all.toString(
        'latin1',
        0,
        check(path, trySyscall('llistxattr', file, all, all.length)),
      );
    } else {
      check(path, listed);
    }
    return names
      .split('\0')
      .filter((key) => key !== '' && key !== 'security.selinux')
      .sort()
      .map((key) => {
        const bytes = Buffer.from(key, 'latin1');
        const value = Buffer.alloc(XATTR_LIMIT);
        const cName = Buffer.concat([bytes, Buffer.alloc(1)]);
        const read = () => trySyscall('lgetxattr', file, cName, value, value.length);
        let size = read();
        if (size === -EACCES && this.#form.rootless) size = this.#permitted(path, read);
        check(path, size);
        return { name: bytes, value: Buffer.from(value.subarray(0, size)) };
      });
  }

  #file(path: string, i: number, all: readonly Xattr[]): DiskFile {
    const view = new DataView(this.#status.buffer, this.#status.byteOffset + i * STATX_SIZE);
    const word = (at: number) => view.getUint32(at, true);
    const mode = view.getUint16(STATX.mode, true);
    const type = TYPES[mode & S.IFMT] ?? 'socket';
    const inode = view.getBigUint64(STATX.inode, true);
    const marks = this.#form.overlay ? overlayMarks(path, all) : NO_MARKS;
    const hides =
      marks.whiteout ||
      (this.#form.overlay &&
        type === 'character device' &&
        word(STATX.rdevMajor) === 0 &&
        word(STATX.rdevMinor) === 0);
    const device = type.endsWith('device');
    return new DiskFile(this, path, {
      ...this.#owned(word(STATX.uid), word(STATX.gid), all),
      type: hides ? 'whiteout' : type,
      mode: mode & 0o7777,
      size: type === 'file' ? readWord(view, STATX.size) : 0,
      mtime: timeAt(view, STATX.modified),
      ctime: timeAt(view, STATX.changed),
      major: device ? word(STATX.rdevMajor) : 0,
      minor: device ? word(STATX.rdevMinor) : 0,
      identity: `${word(STATX.devMajor)}:${word(STATX.devMinor)}:${inode}`,
      links: word(STATX.links),
      opaque: marks.opaque,
    });
  }

  /** Owners and attributes as an image has them. */
  #owned(
    uid: number,
    gid: number,
    all: readonly Xattr[],
  ): Pick<FileStatus, 'uid' | 'gid' | 'xattrs'> {
    const { overlay, rootless } = this.#form;
    const xattrs = all.filter(
      ({ name }) =>
        mayBring(name, rootless ? 'rootless' : 'full') &&
        !(overlay && OVERLAY.test(latin1(name))) &&
        !latin1(name).startsWith('trusted.overlay.'),
    );
    if (!rootless) return { uid, gid, xattrs };
    return {
      uid: uid === process.geteuid?.() ? 0 : uid,
      gid: gid === process.getegid?.() ? 0 : gid,
      ...parseRootlessOwner(all),
      xattrs,
    };
  }
}

interface Marks {
  readonly opaque: boolean;
  readonly whiteout: boolean;
}

const NO_MARKS: Marks = { opaque: false, whiteout: false };

/** What overlayfs wrote of a file: the kernel's Documentation/filesystems/overlayfs.rst. */
function overlayMarks(path: string, xattrs: readonly Xattr[]): Marks {
  const marks = new Map(
    xattrs
      .filter(({ name }) => OVERLAY.test(latin1(name)))
      .map(({ name, value }) => [latin1(name).replace(OVERLAY, ''), latin1(value)]),
  );
  for (const feature of ['redirect', 'metacopy'])
    if (marks.has(feature))
      throw new Error(
        `${displayPath(path)} depends on another file of its overlay (${feature}): this can only be read of overlays that are mounted without ${feature === 'redirect' ? 'redirect_dir' : 'metacopy'}`,
      );
  return { opaque: marks.get('opaque') === 'y', whiteout: marks.has('whiteout') };
}

function procPath(directory: number, name: string): Buffer {
  return Buffer.from(`/proc/self/fd/${directory}/${name}`, 'latin1');
}

function timeAt(view: DataView, at: number): Time {
  return { seconds: readWord(view, at), nanoseconds: view.getUint32(at + 8, true) };
}

function check(path: string, result: number): number {
  if (result < 0)
    throw new Error(
      `cannot read the extended attributes of ${displayPath(path)}: ${explainErrno(-result)}`,
    );
  return result;
}
