import { createHash } from 'node:crypto';
import { closeSync, fstatSync, readSync } from 'node:fs';
import { O } from '../../../runtime/linux/constants.ts';
import { reason } from '../../../runtime/linux/reason.ts';
import { printable } from '../names.ts';
import type { EntryType, Xattr } from '../tar/entry.ts';
import type { Time } from '../tar/fields.ts';

/** What a file can be; a whiteout is overlayfs's mark of what an upper directory hides. */
export type FileType = Exclude<EntryType, 'hard link'> | 'socket' | 'whiteout';

/** What a file of a tree has besides its content. */
export interface FileStatus {
  readonly type: FileType;
  /** Permissions with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; 0 for all but files. */
  readonly size: number;
  readonly mtime: Time;
  /** Of a device. */
  readonly major: number;
  readonly minor: number;
  /** Those that belong to an image, in the order of their names. */
  readonly xattrs: readonly Xattr[];
}

/** A file of a tree, on disk or described by an image's layers. */
export interface TreeFile extends FileStatus {
  /** The same for all names of one file, and for nothing else. */
  readonly identity: unknown;
  /** How many names it has, in this tree or elsewhere. */
  readonly links: number;
  /** The target of a symbolic link, one character a byte. */
  target(): string;
  /** A digest of the content of a file. */
  digest(): string;
  /** The files of a directory, by name (one character a byte), in any order. */
  children(): ReadonlyMap<string, TreeFile>;
}

/** What of a tree a file on disk is read by. */
export interface DiskAccess {
  /** Opens a file of the tree. @throws Error in one line */
  open(path: string, flags: number): number;
  /** @throws Error in one line */
  readLink(path: string): string;
  /** The files of a directory, by name, sorted; whiteouts are among them. */
  list(path: string): ReadonlyMap<string, DiskFile>;
}

/** An open file whose content is being read. */
export interface OpenFile {
  /** Fills a part of a buffer. @returns the bytes that were read, 0 at the end */
  read(buffer: Buffer, offset: number, length: number): number;
  /** @throws Error when the file changed since it was found */
  checkUnchanged(): void;
  close(): void;
}

/** What is known of a file without opening it. */
export interface DiskFacts extends FileStatus {
  readonly ctime: Time;
  /** Device and inode. */
  readonly identity: string;
  readonly links: number;
  /** Whether it is a directory of an upper layer that hides all that lower ones have in it. */
  readonly opaque: boolean;
}

const CHUNK = 256 * 1024;

/** A file as it was found on disk. */
export class DiskFile implements TreeFile, DiskFacts {
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: Time;
  readonly ctime: Time;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: readonly Xattr[];
  readonly identity: string;
  readonly links: number;
  readonly opaque: boolean;
  /** Below the tree's root, without a slash at either end, one character a byte. */
  readonly path: string;
  readonly access: DiskAccess;

  constructor(access: DiskAccess, path: string, facts: DiskFacts) {
    this.access = access;
    this.path = path;
    this.type = facts.type;
    this.mode = facts.mode;
    this.uid = facts.uid;
    this.gid = facts.gid;
    this.size = facts.size;
    this.mtime = facts.mtime;
    this.ctime = facts.ctime;
    this.major = facts.major;
    this.minor = facts.minor;
    this.xattrs = facts.xattrs;
    this.identity = facts.identity;
    this.links = facts.links;
    this.opaque = facts.opaque;
  }

  target(): string {
    return this.access.readLink(this.path);
  }

  children(): ReadonlyMap<string, DiskFile> {
    return this.access.list(this.path);
  }

  digest(): string {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK, Math.max(1, this.size)));
    const file = this.open();
    try {
      for (let n = 1; n > 0; ) {
        n = file.read(buffer, 0, buffer.length);
        hash.update(buffer.subarray(0, n));
      }
      file.checkUnchanged();
    } finally {
      file.close();
    }
    return hash.digest('hex');
  }

  /** Opens its content for reading. @throws Error in one line */
  open(): OpenFile {
    // NONBLOCK: it may have become a FIFO meanwhile.
    const fd = this.access.open(this.path, O.RDONLY | O.NONBLOCK | O.NOCTTY | O.NOFOLLOW);
    return {
      read: (buffer, offset, length) => {
        try {
          return readSync(fd, buffer, offset, length, null);
        } catch (cause) {
          throw new Error(`cannot read ${displayPath(this.path)}: ${reason(cause)}`, { cause });
        }
      },
      checkUnchanged: () => this.#checkUnchanged(fd),
      close: () => closeSync(fd),
    };
  }

  #checkUnchanged(fd: number): void {
    const { ino, size, ctimeNs, mtimeNs } = fstatSync(fd, { bigint: true });
    // Where a mode had to be changed to read the file, so was its status.
    const forbidden = (this.mode & 0o400) === 0 && process.geteuid?.() !== 0;
    const same = forbidden
      ? mtimeNs === nanoseconds(this.mtime)
      : ctimeNs === nanoseconds(this.ctime);
    if (!same || !this.identity.endsWith(`:${ino}`) || size !== BigInt(this.size))
      throw changedError(this.path);
  }
}

function nanoseconds({ seconds, nanoseconds }: Time): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}

/** For what changes while it is read: a layer of it would be of no moment that ever was. */
export function changedError(path: string): Error {
  return new Error(
    `${displayPath(path)} changed while it was read: stop what writes to it (scow pause, if a container runs here) and try again`,
  );
}

/** A path of a tree as errors call it. */
export function displayPath(path: string): string {
  return `/${printable(Buffer.from(path, 'latin1'))}`;
}
