import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, writeSync } from 'node:fs';
import { AT, F, O, RESOLVE } from '../../runtime/linux/constants.ts';
import { openat2 } from '../../runtime/linux/openat2.ts';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { syscall, trySyscall } from '../../runtime/linux/syscall.ts';
import { deviceNumber } from '../layers/applier.ts';
import { entryComponents, latin1, printable } from '../layers/names.ts';
import { mayBring } from '../layers/privileges.ts';
import type { TarEntry } from '../layers/tar/entry.ts';
import type { TarVisitor } from '../layers/tar/reader.ts';
import { refuseSpecial, text, times, typeOf } from './kernel-form.ts';
import { type SmallFile, SmallFiles } from './small-files.ts';

/** How files are received. */
export interface ReceiveOptions {
  /** Whether owners, setuid, extended attributes and devices are kept. */
  readonly archive: boolean;
  /** Hears, in one line each, of what could not be kept. */
  onWarning(line: string): void;
}

/** What permissions are left of a mode where the owner is another one. */
const PLAIN = 0o1777;
const SETUID_OR_SETGID = 0o6000;

/** Bytes of files that are made several at a time. */
const SMALL = 64 * 1024;

/** A name in an open directory. */
interface Spot {
  readonly parent: number;
  readonly name: string;
}

/** A file on its way: it takes its name when it is complete. */
interface OpenFile extends Spot {
  readonly fd: number;
  readonly temporary: string;
  readonly entry: TarEntry;
}

/**
 * Puts the entries of an archive below a directory that has files already. The kernel opens each
 * parent with the root as the top of all that symbolic links can lead to (openat2(2),
 * RESOLVE_IN_ROOT): neither names nor links leave it. Files replace files, whole; directories join.
 */
export class Receiver implements TarVisitor {
  readonly #root: number;
  readonly #base: string;
  readonly #options: ReceiveOptions;
  readonly #made: { readonly path: string; readonly entry: TarEntry }[] = [];
  /** What of modes is kept. */
  readonly #kept: number;
  readonly #small: SmallFiles;
  #file: OpenFile | undefined;
  /** A small file whose content is not complete. */
  #part: SmallFile | undefined;
  /** The parent of the last small files, and its path. */
  #directoryOfSmall: { readonly path: string; readonly fd: number } | undefined;
  #late: TarEntry | undefined;

  /**
   * @param root descriptor of the directory that nothing leaves
   * @param base where in it the entries' names begin, one character a byte
   */
  constructor(root: number, base: string, options: ReceiveOptions) {
    this.#root = root;
    this.#base = base;
    this.#options = options;
    this.#kept = options.archive ? 0o7777 : PLAIN;
    this.#small = new SmallFiles(options.archive, (file) => this.#putSmall(file));
  }

  /** The name of the entry that an error is about, where that is not the last one. */
  get failedName(): Buffer | undefined {
    return this.#late?.name;
  }

  entry(entry: TarEntry): void {
    const components = entryComponents(entry.name);
    const name = components.pop();
    if (name === undefined) return;
    const device = entry.type.endsWith('device');
    if (device && !this.#options.archive) {
      const line = `${printable(entry.name)} is a ${entry.type}, left out: --archive copies it`;
      this.#options.onWarning(line);
      return;
    }
    if (this.#isSmall(entry)) {
      const parent = this.#parentOfSmall(components);
      const content = Buffer.alloc(entry.size);
      this.#part = { parent, name, entry, mode: entry.mode & this.#kept, content };
      return;
    }
    this.#flush();
    const parent = this.#parent(components);
    try {
      if (entry.type === 'directory') this.#directory({ parent, name }, components, entry);
      else this.#put({ parent, name }, entry);
    } finally {
      // A file keeps it until its end.
      if (this.#file?.parent !== parent) closeSync(parent);
    }
  }

  content(bytes: Uint8Array, offset: number): void {
    this.#part?.content.set(bytes, offset);
    if (this.#file === undefined) return;
    for (let at = 0; at < bytes.length; )
      at += writeSync(this.#file.fd, bytes, at, bytes.length - at, offset + at);
  }

  end(): void {
    const part = this.#part;
    this.#part = undefined;
    if (part !== undefined) this.#small.add(part);
    const file = this.#file;
    if (file === undefined) return;
    syscall('ftruncate', file.fd, file.entry.size);
    this.#describe(file.fd, file.entry);
    this.#replace(file, file.temporary, file.entry);
    this.#drop(file);
  }

  /** Gives directories that were made their modes and times: children no longer change them. */
  finish(): void {
    this.#flush();
    for (const { path, entry } of this.#made.reverse()) {
      const fd = this.#open(path, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
      try {
        this.#describe(fd, entry);
      } finally {
        closeSync(fd);
      }
    }
  }

  /** Leaves nothing of a file that is not complete. */
  close(): void {
    this.#leaveDirectory();
    const file = this.#file;
    if (file === undefined) return;
    trySyscall('unlinkat', file.parent, text(file.temporary), 0);
    this.#drop(file);
  }

  /** Makes what waits, before something else that may need it. */
  #flush(): void {
    this.#small.flush();
    this.#leaveDirectory();
  }

  #leaveDirectory(): void {
    if (this.#directoryOfSmall !== undefined) closeSync(this.#directoryOfSmall.fd);
    this.#directoryOfSmall = undefined;
  }

  #isSmall({ type, size, mode }: TarEntry): boolean {
    const warns = (mode & ~this.#kept & SETUID_OR_SETGID) !== 0;
    return type === 'file' && size <= SMALL && !warns;
  }

  #parentOfSmall(components: readonly string[]): number {
    const path = components.join('/');
    if (this.#directoryOfSmall?.path === path) return this.#directoryOfSmall.fd;
    this.#flush();
    const fd = this.#parent(components);
    this.#directoryOfSmall = { path, fd };
    return fd;
  }

  /** Makes a file that could not be made with others. */
  #putSmall({ parent, name, entry, content }: SmallFile): void {
    this.#late = entry;
    // It is closed with the file.
    const own = syscall('fcntl', parent, F.DUPFD_CLOEXEC, 0);
    try {
      this.#put({ parent: own, name }, entry);
    } catch (error) {
      closeSync(own);
      throw error;
    }
    this.content(content, 0);
    this.end();
    this.#late = undefined;
  }

  #drop({ fd, parent }: OpenFile): void {
    this.#file = undefined;
    closeSync(fd);
    closeSync(parent);
  }

  #below(components: readonly string[]): string {
    return [this.#base, ...components].filter((part) => part !== '').join('/');
  }

  /** Opens a directory. Those that the archive takes for granted are made. */
  #parent(components: readonly string[]): number {
    try {
      return this.#open(this.#below(components), O.PATH | O.DIRECTORY);
    } catch (error) {
      const name = components.at(-1);
      if (name === undefined || codeOf((error as Error).cause) !== 'ENOENT') throw error;
      const above = this.#parent(components.slice(0, -1));
      try {
        syscall('mkdirat', above, text(name), 0o755);
      } catch {
        // A symbolic link that leads nowhere in the root is there.
        throw error;
      } finally {
        closeSync(above);
      }
      return this.#open(this.#below(components), O.PATH | O.DIRECTORY);
    }
  }

  #open(path: string, flags: number): number {
    const resolve = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS;
    try {
      return openat2(this.#root, text(path || '.'), flags, resolve);
    } catch (cause) {
      const named = printable(Buffer.from(path, 'latin1'));
      throw new Error(`cannot open the directory /${named}: ${reason(cause)}`, { cause });
    }
  }

  #directory(spot: Spot, components: readonly string[], entry: TarEntry): void {
    const path = this.#below([...components, spot.name]);
    try {
      syscall('mkdirat', spot.parent, text(spot.name), 0o700);
      this.#made.push({ path, entry });
    } catch (cause) {
      if (codeOf(cause) !== 'EEXIST') throw new Error(reason(cause), { cause });
      // One that is there, perhaps behind a symbolic link, stays as it is.
      closeSync(this.#open(path, O.PATH | O.DIRECTORY));
    }
  }

  #put(spot: Spot, entry: TarEntry): void {
    const temporary = `.scow-${randomBytes(6).toString('hex')}`;
    const at = [spot.parent, text(temporary)] as const;
    try {
      if (entry.type === 'file') {
        this.#create(spot, temporary, entry);
        return;
      }
      if (entry.type === 'hard link') this.#link(entry, at);
      else if (entry.type === 'symbolic link')
        syscall('symlinkat', text(latin1(entry.linkName)), ...at);
      else syscall('mknodat', ...at, typeOf(entry) | 0o600, deviceNumber(entry));
    } catch (cause) {
      throw new Error(reason(cause), { cause });
    }
    if (entry.type !== 'hard link') this.#describeNode(at, entry);
    this.#replace(spot, temporary, entry);
  }

  #create(spot: Spot, temporary: string, entry: TarEntry): void {
    const flags = O.RDWR | O.CREAT | O.EXCL | O.NOFOLLOW | O.CLOEXEC;
    const fd = syscall('openat', spot.parent, text(temporary), flags, 0o600);
    this.#file = { ...spot, fd, temporary, entry };
  }

  #link(entry: TarEntry, at: readonly [number, Uint8Array]): void {
    const components = entryComponents(entry.linkName);
    const name = components.pop();
    if (name === undefined) throw new Error('it is a hard link to a directory');
    const from = this.#open(this.#below(components), O.PATH | O.DIRECTORY);
    try {
      syscall('linkat', from, text(name), ...at, 0);
    } finally {
      closeSync(from);
    }
  }

  #replace({ parent, name }: Spot, temporary: string, { type }: TarEntry): void {
    try {
      if (type === 'file') refuseSpecial(parent, name);
      syscall('renameat', parent, text(temporary), parent, text(name));
    } catch (cause) {
      trySyscall('unlinkat', parent, text(temporary), 0);
      if (codeOf(cause) !== 'EISDIR') throw new Error(reason(cause), { cause });
      throw new Error('there is a directory of this name, which is not replaced', { cause });
    }
    // Nothing happens where both were names of one file.
    if (type === 'hard link') trySyscall('unlinkat', parent, text(temporary), 0);
  }

  /** Another owner takes setuid away: the mode is set after it. */
  #describe(fd: number, entry: TarEntry): void {
    const { archive } = this.#options;
    if (archive) this.#own(() => syscall('fchown', fd, entry.uid, entry.gid), entry);
    syscall('fchmod', fd, this.#mode(entry));
    for (const { name, value } of archive ? entry.xattrs : []) {
      if (!mayBring(name, 'full')) continue;
      const key = text(latin1(name));
      this.#own(() => syscall('fsetxattr', fd, key, value, value.length, 0), entry);
    }
    syscall('utimensat', fd, 0, times(entry), 0);
  }

  #describeNode(at: readonly [number, Uint8Array], entry: TarEntry): void {
    const own = () => syscall('fchownat', ...at, entry.uid, entry.gid, AT.SYMLINK_NOFOLLOW);
    if (this.#options.archive) this.#own(own, entry);
    if (entry.type !== 'symbolic link') this.#setMode(at, this.#mode(entry));
    syscall('utimensat', ...at, times(entry), AT.SYMLINK_NOFOLLOW);
  }

  /** fchmodat(2) would follow what a running container puts in its place meanwhile. */
  #setMode([parent, name]: readonly [number, Uint8Array], mode: number): void {
    const fd = syscall('openat', parent, name, O.PATH | O.NOFOLLOW | O.CLOEXEC, 0);
    try {
      chmodSync(`/proc/self/fd/${fd}`, mode);
    } finally {
      closeSync(fd);
    }
  }

  /** A program that was setuid for somebody must not become so for whom the copy belongs to. */
  #mode({ mode, name }: TarEntry): number {
    if ((mode & ~this.#kept & SETUID_OR_SETGID) !== 0)
      this.#options.onWarning(
        `${printable(name)} is no longer setuid or setgid: --archive keeps it with its owner`,
      );
    return mode & this.#kept;
  }

  #own(work: () => void, { name }: TarEntry): void {
    try {
      work();
    } catch (cause) {
      const line = `${printable(name)}: its owner or an attribute is not kept: ${reason(cause)}`;
      this.#options.onWarning(line);
    }
  }
}
