import { printable, WHITEOUT } from '../names.ts';
import type { TarEntry, Xattr } from '../tar/entry.ts';
import type { Time } from '../tar/fields.ts';
import { BLOCK } from '../tar/header.ts';
import type { Change } from './changes.ts';
import { changedError, type DiskFile, displayPath, type OpenFile } from './disk-file.ts';
import { encodeEntry, paddingOf, whiteoutEntry } from './header.ts';

/** An entry to be written, and the file on disk that its content comes from. */
export interface ArchiveEntry {
  readonly entry: TarEntry;
  /** undefined where there is no content. */
  readonly content?: DiskFile;
}

/** How the entries of an archive are written. */
export interface ArchiveOptions {
  /** Times after this one, in seconds since the epoch, become this one. */
  readonly latest?: number | undefined;
  /** Hears, in one line each, of what an archive can't hold. */
  onWarning(line: string): void;
}

const EMPTY = Buffer.alloc(0);

/**
 * The entries of a layer that makes these changes (image-spec, layer.md: Representing Changes). Names
 * that would delete other files are left out.
 */
export function* layerEntries(
  changes: readonly Change[],
  options: ArchiveOptions,
): Generator<ArchiveEntry> {
  const maker = new EntryMaker(options);
  for (const { path, file } of changes) {
    const marked = path.split('/').findIndex((name) => name.startsWith(WHITEOUT));
    if (marked >= 0) {
      // Told of a directory, and not of all that it holds.
      if (marked === path.split('/').length - 1)
        options.onWarning(
          `${displayPath(path)} is left out: in a layer a name that begins with ${WHITEOUT} deletes another`,
        );
      continue;
    }
    if (file !== undefined) {
      yield maker.make(file);
      continue;
    }
    const at = path.lastIndexOf('/');
    yield { entry: whiteoutEntry(path.slice(0, Math.max(0, at)), path.slice(at + 1)) };
  }
}

/** The entries of a whole tree, parents first, then by the bytes of their names. */
export function* treeEntries(root: DiskFile, options: ArchiveOptions): Generator<ArchiveEntry> {
  const maker = new EntryMaker(options);
  function* visit(file: DiskFile): Generator<ArchiveEntry> {
    if (file.type === 'socket') {
      options.onWarning(`${displayPath(file.path)} is a socket, which no archive can hold`);
      return;
    }
    yield maker.make(file);
    if (file.type !== 'directory') return;
    for (const child of file.children().values()) yield* visit(child);
  }
  yield* visit(root);
}

/** Makes entries of files on disk; of several names of one file the later ones are links. */
class EntryMaker {
  readonly #options: ArchiveOptions;
  /** The first name of each file that has several. */
  readonly #first = new Map<string, Buffer>();

  constructor(options: ArchiveOptions) {
    this.#options = options;
  }

  make(file: DiskFile): ArchiveEntry {
    const { type, mode, uid, gid, major, minor } = file;
    if (type === 'socket' || type === 'whiteout')
      throw new Error(`${displayPath(file.path)} is a ${type}, which no archive can hold`);
    const name = Buffer.from(`${file.path || '.'}${type === 'directory' ? '/' : ''}`, 'latin1');
    const shared = { name, mode, uid, gid, mtime: this.#clamp(file.mtime), xattrs: [] };
    const first = type === 'directory' ? undefined : this.#firstName(file, name);
    const none = { size: 0, major: 0, minor: 0, linkName: EMPTY };
    if (first !== undefined)
      return { entry: { ...shared, ...none, type: 'hard link', linkName: first } };
    const xattrs = file.xattrs.filter((xattr) => this.#fits(file, xattr));
    const linkName = type === 'symbolic link' ? Buffer.from(file.target(), 'latin1') : EMPTY;
    const entry = { ...shared, type, size: file.size, linkName, major, minor, xattrs };
    return { entry, ...(file.size > 0 ? { content: file } : {}) };
  }

  #firstName({ links, identity }: DiskFile, name: Buffer): Buffer | undefined {
    if (links === 1) return undefined;
    const first = this.#first.get(identity);
    if (first === undefined) this.#first.set(identity, name);
    return first;
  }

  #clamp(time: Time): Time {
    const { latest } = this.#options;
    if (latest === undefined || time.seconds < latest) return time;
    return { seconds: latest, nanoseconds: 0 };
  }

  /** Extended headers have no way to write some attributes down. */
  #fits({ path }: DiskFile, { name, value }: Xattr): boolean {
    const fits = value.length > 0 && !name.includes('=');
    if (!fits)
      this.#options.onWarning(
        `${displayPath(path)}: the attribute ${printable(name)} is left out: an archive can hold none ${value.length === 0 ? 'without a value' : 'with "=" in its name'}`,
      );
    return fits;
  }
}

/** Bytes that are given out at once. */
const CHUNK = 256 * 1024;

/**
 * Writes a tar archive: one chunk of it is in memory at a time, however large its files are.
 *
 * @returns the archive's bytes; each chunk is memory of its own
 * @throws Error in one line that names the file: unreadable, or changed since it was found
 */
export function* tarOf(entries: Iterable<ArchiveEntry>): Generator<Uint8Array> {
  const out = new Chunks();
  for (const { entry, content } of entries) {
    yield* out.put(encodeEntry(entry));
    if (content === undefined) continue;
    const file = content.open();
    try {
      yield* out.fill(file, content);
      file.checkUnchanged();
    } finally {
      file.close();
    }
    yield* out.put(Buffer.alloc(paddingOf(content.size)));
  }
  yield* out.put(Buffer.alloc(2 * BLOCK));
  yield* out.end();
}

/** Gathers bytes until there are enough to be handed on. */
class Chunks {
  #buffer = Buffer.allocUnsafeSlow(CHUNK);
  #used = 0;

  *put(bytes: Buffer): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length; ) {
      const copied = bytes.copy(this.#buffer, this.#used, at);
      this.#used += copied;
      at += copied;
      if (this.#used === CHUNK) yield this.#take();
    }
  }

  *fill(file: OpenFile, { path, size }: DiskFile): Generator<Uint8Array> {
    for (let left = size; left > 0; ) {
      const count = file.read(this.#buffer, this.#used, Math.min(left, CHUNK - this.#used));
      if (count === 0) throw changedError(path);
      this.#used += count;
      left -= count;
      if (this.#used === CHUNK) yield this.#take();
    }
  }

  *end(): Generator<Uint8Array> {
    if (this.#used > 0) yield this.#take();
  }

  #take(): Uint8Array {
    const chunk = this.#buffer.subarray(0, this.#used);
    this.#buffer = Buffer.allocUnsafeSlow(CHUNK);
    this.#used = 0;
    return chunk;
  }
}
