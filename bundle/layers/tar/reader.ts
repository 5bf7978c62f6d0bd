import { type LongNames, makeEntry, type PaxSparse, paxSparse, type TarEntry } from './entry.ts';
import { BLOCK, type Header, isZero, parseHeader } from './header.ts';
import { parseRecords, type Records } from './pax.ts';
import {
  checkExtents,
  type Extent,
  oldRealSize,
  readOldExtents,
  SparseMapReader,
} from './sparse.ts';

/** What a reader tells, in the archive's order: an entry, parts of its content, its end. */
export interface TarVisitor {
  entry(entry: TarEntry): void;
  /**
   * Content of the last entry. The bytes are the reader's input itself, not a copy.
   *
   * @param offset where they belong in the file; what no call covers is a hole
   */
  content(bytes: Uint8Array, offset: number): void;
  end(): void;
  /** Whether content in this memory is still needed. Without it, it may be for ever. */
  holds?(memory: ArrayBufferLike): boolean;
}

/** Extended headers and long names are read into memory: no honest one is longer, in bytes. */
const META_LIMIT = 1024 * 1024;

type BlockState = (block: Buffer) => void;

interface Meta {
  readonly body: Buffer;
  filled: number;
  done(body: Buffer): void;
}

/**
 * Reads a tar archive that is pushed into it piece by piece, however it was cut. It knows v7,
 * ustar, PAX, GNU and star archives with sparse files; names and values stay bytes.
 * Synchronous: a promise for each entry would cost more than the work on it.
 */
export class TarReader {
  readonly #visitor: TarVisitor;
  readonly #partial = Buffer.allocUnsafeSlow(BLOCK);
  #filled = 0;
  /** Takes the next block; undefined once the archive has ended. */
  #block: BlockState | undefined = (block) => this.#onHeader(block);

  /** The body of an extended header or long name, and where it goes when it is complete. */
  #meta: Meta | undefined;
  /** Bytes of content, and of what fills its last block up, still to come. */
  #content = 0;
  #padding = 0;
  #extents: Extent[] = [];
  #extent = 0;
  #inExtent = 0;
  #open = false;
  #name: Buffer | undefined;
  #position = 0;

  #global: Records = new Map();
  /** Bytes of the global headers so far: what they say adds up. */
  #globalSize = 0;
  #local: Records = new Map();
  #long: LongNames = {};

  constructor(visitor: TarVisitor) {
    this.#visitor = visitor;
  }

  /** The name of the entry under way, for errors. */
  get entryName(): Buffer | undefined {
    return this.#name;
  }

  /**
   * Reads on.
   *
   * @param chunk kept by nobody but the visitor
   * @throws Error when the archive is damaged, and whatever the visitor throws
   */
  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < bytes.length && this.#block !== undefined) {
      const taken = this.#take(bytes.subarray(at));
      at += taken;
      this.#position += taken;
    }
  }

  /** Says that the archive has been pushed whole. @throws Error when it ends too early */
  finish(): void {
    if (this.#filled > 0 || this.#meta !== undefined || this.#open)
      throw new Error('the archive is truncated: it ends in the middle of an entry');
  }

  /** Takes bytes for the state under way. @returns how many it took */
  #take(bytes: Buffer): number {
    if (this.#meta !== undefined) return this.#takeMeta(this.#meta, bytes);
    if (this.#content > 0) return this.#takeContent(bytes);
    if (this.#padding > 0) {
      const skipped = Math.min(this.#padding, bytes.length);
      this.#padding -= skipped;
      return skipped;
    }
    if (this.#filled === 0 && bytes.length >= BLOCK) {
      this.#block?.(bytes.subarray(0, BLOCK));
      return BLOCK;
    }
    const copied = bytes.copy(this.#partial, this.#filled);
    this.#filled += copied;
    if (this.#filled === BLOCK) {
      this.#filled = 0;
      this.#block?.(this.#partial);
    }
    return copied;
  }

  #takeMeta(meta: Meta, bytes: Buffer): number {
    const copied = bytes.copy(meta.body, meta.filled);
    meta.filled += copied;
    if (meta.filled === meta.body.length) {
      this.#meta = undefined;
      meta.done(meta.body);
    }
    return copied;
  }

  #takeContent(bytes: Buffer): number {
    let extent = this.#extents[this.#extent] as Extent;
    while (extent.length === this.#inExtent) {
      this.#inExtent = 0;
      extent = this.#extents[++this.#extent] as Extent;
    }
    const length = Math.min(bytes.length, extent.length - this.#inExtent);
    this.#visitor.content(bytes.subarray(0, length), extent.offset + this.#inExtent);
    this.#inExtent += length;
    this.#content -= length;
    if (this.#content === 0) this.#endEntry();
    return length;
  }

  #onHeader(block: Buffer): void {
    if (isZero(block)) {
      this.#block = (second) => {
        if (!isZero(second)) throw new Error('a lone block of zeros lies between two entries');
        this.#block = undefined;
      };
      return;
    }
    const header = this.#parseHeader(block);
    const keep = this.#keeper(header.type);
    if (keep === undefined) this.#onEntry(header, block);
    else this.#readMeta(header, keep);
  }

  /** What to do with the body of a header that only tells of the entry after it. */
  #keeper(type: string): ((body: Buffer) => void) | undefined {
    switch (type) {
      case 'x':
        return (body) => {
          this.#local = parseRecords(body);
        };
      case 'g':
        return (body) => {
          this.#globalSize += body.length;
          if (this.#globalSize > META_LIMIT)
            throw new Error('its global extended headers have more than 1 MiB together');
          this.#global = new Map([...this.#global, ...parseRecords(body)]);
        };
      case 'L':
        return (body) => {
          this.#long = { ...this.#long, name: untilNul(body) };
        };
      case 'K':
        return (body) => {
          this.#long = { ...this.#long, linkName: untilNul(body) };
        };
      default:
        return undefined;
    }
  }

  #parseHeader(block: Buffer): Header {
    try {
      return parseHeader(block);
    } catch (error) {
      const start = this.#position - (this.#position % BLOCK);
      throw new Error(`at byte ${start} of the archive: ${(error as Error).message}`);
    }
  }

  #readMeta(header: Header, done: (body: Buffer) => void): void {
    const { size } = header;
    if (size < 0 || size > META_LIMIT)
      throw new Error(`an extended header or long name has ${size} bytes (at most 1 MiB)`);
    this.#padding = -size & (BLOCK - 1);
    if (size === 0) done(Buffer.alloc(0));
    else this.#meta = { body: Buffer.allocUnsafeSlow(size), filled: 0, done };
  }

  #onEntry(header: Header, block: Buffer): void {
    const records =
      this.#global.size === 0 ? this.#local : new Map([...this.#global, ...this.#local]);
    this.#name = this.#long.name ?? header.name;
    const entry = makeEntry(header, records, this.#long);
    this.#name = entry.name;
    this.#local = new Map();
    this.#long = {};
    this.#open = true;
    const stored = entry.size;
    this.#padding = -stored & (BLOCK - 1);
    if (header.type === 'S') {
      if (!header.gnu) throw new Error('it is a sparse file outside of a GNU archive');
      this.#onOldSparse(entry, block, stored);
      return;
    }
    const sparse = entry.type === 'file' ? paxSparse(records) : undefined;
    if (sparse === undefined) this.#begin(entry, [{ offset: 0, length: stored }], stored);
    else if (sparse.extents === undefined) this.#readSparseMap(entry, sparse, stored);
    else this.#beginSparse(entry, sparse.extents, sparse.size, stored);
  }

  #onOldSparse(entry: TarEntry, header: Buffer, stored: number): void {
    const extents: Extent[] = [];
    const size = oldRealSize(header);
    // The padding is that of the content, which begins after the last block of the map.
    const padding = this.#padding;
    this.#padding = 0;
    const next = (block: Buffer, isHeader: boolean): void => {
      if (readOldExtents(block, isHeader, extents)) {
        this.#block = (extension) => next(extension, false);
        return;
      }
      this.#block = (following) => this.#onHeader(following);
      this.#padding = padding;
      this.#beginSparse(entry, extents, size, stored);
    };
    next(header, true);
  }

  #readSparseMap(entry: TarEntry, sparse: PaxSparse, stored: number): void {
    const map = new SparseMapReader();
    const padding = this.#padding;
    let left = stored;
    this.#padding = 0;
    this.#block = (block) => {
      left -= BLOCK;
      if (left < 0) throw new Error('its sparse map is longer than its content');
      const extents = map.push(block);
      if (extents === undefined) return;
      this.#block = (following) => this.#onHeader(following);
      this.#padding = padding;
      this.#beginSparse(entry, extents, sparse.size, left);
    };
  }

  #beginSparse(entry: TarEntry, extents: Extent[], size: number, stored: number): void {
    checkExtents(extents, size, stored);
    this.#begin({ ...entry, size }, extents, stored);
  }

  #begin(entry: TarEntry, extents: Extent[], stored: number): void {
    this.#extents = extents;
    this.#extent = 0;
    this.#inExtent = 0;
    this.#content = stored;
    this.#visitor.entry(entry);
    if (stored === 0) this.#endEntry();
  }

  #endEntry(): void {
    this.#open = false;
    this.#visitor.end();
    this.#name = undefined;
  }
}

function untilNul(body: Buffer): Buffer {
  const end = body.indexOf(0);
  return end < 0 ? body : body.subarray(0, end);
}
