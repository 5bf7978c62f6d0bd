import { AT, O, S, STATX, STATX_BASIC_STATS, STATX_SIZE } from '../linux/constants.ts';
import type { Run } from '../linux/elsewhere.ts';
import { errnoCode } from '../linux/errno.ts';
import { Stats } from '../linux/files.ts';
import { membersIn } from '../linux/listing.ts';
import { reason } from '../linux/reason.ts';
import { type Call, SyscallError } from '../linux/syscall.ts';
import { copyXattrs } from './xattrs.ts';

/** What of the directory itself is copied, besides its content. */
export interface Itself {
  readonly mode: boolean;
  readonly uid: boolean;
  readonly gid: boolean;
}

/** Bytes of one reading of a directory. */
const LISTING = 32 * 1024;
const LONGEST_LINK = 4096;
/** The most that one sendfile(2) moves. */
const MOST_BYTES = 0x7ffff000;
const PERMISSIONS = 0o7777;
const PRIVATE = 0o700;

/** A name with the NUL at its end: names are bytes, not always text. */
type Name = Uint8Array;

/**
 * Copies all that a directory holds, with owners, permissions, times, extended attributes and hard
 * links. No symlink is followed: everything is opened by its name in an open directory, and looked
 * at before it is read.
 *
 * @param run makes the system calls: as the root whose IDs the copies are to have
 * @param from descriptor of the directory
 * @param into descriptor of an empty directory that nobody else can reach
 * @throws Error that begins with the path of what could not be copied
 */
export function copyTree(run: Run, from: number, into: number, itself: Itself): void {
  const copy = new Copy(run, into);
  try {
    copy.directory(from, into, itself, '');
  } catch (cause) {
    const text = Buffer.from(copy.at || '.', 'latin1').toString();
    throw new Error(`${JSON.stringify(text)}: ${reason(cause)}`, { cause });
  }
}

class Copy {
  /** The path of what is being copied, one character a byte. */
  at = '';
  readonly #run: Run;
  readonly #top: number;
  /** Where the first name of a file with several was copied to, by what identifies the file. */
  readonly #linked = new Map<string, Uint8Array>();

  constructor(run: Run, top: number) {
    this.#run = run;
    this.#top = top;
  }

  directory(from: number, into: number, itself: Itself, path: string): void {
    const open = O.RDONLY | O.DIRECTORY | O.CLOEXEC;
    const source = this.#call('openat', from, '.', open);
    const target = this.#call('openat', into, '.', open);
    try {
      for (const name of this.#list(source)) this.#entry(source, target, name, path);
      const stat = this.#stat(source);
      copyXattrs(this.#run, source, target);
      this.#own(target, stat, itself);
      if (itself.mode) this.#call('fchmod', target, stat.mode & PERMISSIONS);
      this.#call('utimensat', target, 0, stat.times, 0);
    } finally {
      this.#run([source, target].map((fd) => ({ name: 'close', args: [fd] })));
    }
  }

  #entry(source: number, target: number, name: Name, path: string): void {
    const below = `${path}${Buffer.from(name).toString('latin1', 0, name.length - 1)}`;
    this.at = below;
    const fd = this.#call('openat', source, name, O.PATH | O.NOFOLLOW | O.CLOEXEC);
    try {
      const stat = this.#stat(fd);
      const type = stat.mode & S.IFMT;
      if (type !== S.IFDIR && this.#link(stat, target, name, below)) return;
      if (type === S.IFDIR) this.#makeDirectory(fd, target, name, `${below}/`);
      else if (type === S.IFREG) this.#file(fd, target, name, stat);
      else if (type === S.IFLNK) this.#symlink(fd, target, name, stat);
      else this.#node(target, name, stat);
    } finally {
      this.#run([{ name: 'close', args: [fd] }]);
    }
  }

  #makeDirectory(fd: number, target: number, name: Name, path: string): void {
    this.#call('mkdirat', target, name, PRIVATE);
    const made = this.#call('openat', target, name, O.PATH | O.NOFOLLOW | O.CLOEXEC);
    try {
      this.directory(fd, made, { mode: true, uid: true, gid: true }, path);
    } finally {
      this.#run([{ name: 'close', args: [made] }]);
    }
  }

  #file(fd: number, target: number, name: Name, stat: Stat): void {
    // What was looked at is what is read, whatever the name stands for by now.
    const source = this.#call('openat', AT.FDCWD, `/proc/self/fd/${fd}`, O.RDONLY | O.CLOEXEC);
    const flags = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW | O.CLOEXEC;
    const made = this.#call('openat', target, name, flags, PRIVATE);
    try {
      while (this.#call('sendfile', made, source, 0, MOST_BYTES) > 0);
      // A change of the owner takes set-ID bits and capabilities away: these come later.
      this.#own(made, stat, { uid: true, gid: true });
      this.#call('fchmod', made, stat.mode & PERMISSIONS);
      copyXattrs(this.#run, source, made);
      this.#call('utimensat', made, 0, stat.times, 0);
    } finally {
      this.#run([source, made].map((opened) => ({ name: 'close', args: [opened] })));
    }
  }

  #symlink(fd: number, target: number, name: Name, stat: Stat): void {
    const text = Buffer.alloc(LONGEST_LINK + 1);
    this.#call('readlinkat', fd, '', text, LONGEST_LINK);
    this.#call('symlinkat', text, target, name);
    this.#finish(target, name, stat);
  }

  #node(target: number, name: Name, stat: Stat): void {
    const made = this.#try('mknodat', target, name, stat.mode, stat.rdev);
    // In a user namespace there is no making of devices, and no use for them.
    if (made === -errnoCode('EPERM')) return;
    if (made < 0) throw new SyscallError('mknodat', [target, name], -made);
    this.#finish(target, name, stat);
    this.#call('fchmodat', target, name, stat.mode & PERMISSIONS);
  }

  /** Owner and time of something that has no descriptor. */
  #finish(target: number, name: Name, stat: Stat): void {
    const owned = this.#try('fchownat', target, name, stat.uid, stat.gid, AT.SYMLINK_NOFOLLOW);
    this.#tolerateUnmapped('fchownat', owned);
    this.#call('utimensat', target, name, stat.times, AT.SYMLINK_NOFOLLOW);
  }

  /** Makes another name of a file that was copied before. */
  #link(stat: Stat, target: number, name: Name, path: string): boolean {
    if (stat.links < 2) return false;
    const first = this.#linked.get(stat.identity);
    this.#linked.set(stat.identity, first ?? Buffer.from(`${path}\0`, 'latin1'));
    if (first === undefined) return false;
    // A device that could not be made has no other names either.
    return this.#try('linkat', this.#top, first, target, name, 0) === 0;
  }

  #own(fd: number, stat: Stat, { uid, gid }: Pick<Itself, 'uid' | 'gid'>): void {
    const ids = [uid ? stat.uid : -1, gid ? stat.gid : -1] as const;
    this.#tolerateUnmapped('fchownat', this.#try('fchownat', fd, '', ...ids, AT.EMPTY_PATH));
  }

  /** An owner that the container's user namespace does not have: the copy stays its root's. */
  #tolerateUnmapped(name: Call['name'], result: number): void {
    if (result >= 0 || result === -errnoCode('EINVAL') || result === -errnoCode('EOVERFLOW'))
      return;
    throw new SyscallError(name, [], -result);
  }

  #stat(fd: number): Stat {
    const buffer = Buffer.alloc(STATX_SIZE);
    this.#call('statx', fd, '', AT.EMPTY_PATH, STATX_BASIC_STATS, buffer);
    return statOf(buffer);
  }

  #list(directory: number): Name[] {
    const names: Name[] = [];
    const buffer = Buffer.alloc(LISTING);
    for (;;) {
      const filled = this.#call('getdents64', directory, buffer, buffer.length);
      if (filled === 0) return names;
      for (const { name } of membersIn(buffer, filled)) names.push(name);
    }
  }

  #call(name: Call['name'], ...args: Call['args']): number {
    const result = this.#try(name, ...args);
    if (result < 0) throw new SyscallError(name, args, -result);
    return result;
  }

  #try(name: Call['name'], ...args: Call['args']): number {
    return this.#run([{ name, args }])[0] as number;
  }
}

/** What statx(2) tells of a file. */
interface Stat {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  /** As mknod(2) takes it. */
  readonly rdev: number;
  readonly identity: string;
  /** `struct timespec[2]` of utimensat(2). */
  readonly times: Uint8Array;
}

function statOf(buffer: Buffer): Stat {
  const word = (at: number) => buffer.readUInt32LE(at);
  const { mode, identity } = new Stats(buffer);
  const [major, minor] = [word(STATX.rdevMajor), word(STATX.rdevMinor)];
  const times = Buffer.alloc(32);
  for (const [i, at] of [STATX.accessed, STATX.modified].entries()) {
    times.writeBigInt64LE(buffer.readBigInt64LE(at), 16 * i);
    times.writeBigInt64LE(BigInt(word(at + 8)), 16 * i + 8);
  }
  return {
    mode,
    uid: word(STATX.uid),
    gid: word(STATX.gid),
    links: word(STATX.links),
    rdev: ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0,
    identity,
    times,
  };
}
