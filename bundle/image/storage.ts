import { closeSync, read } from 'node:fs';
import { promisify } from 'node:util';
import { reason } from '../../runtime/linux/reason.ts';
import type { Content } from './source.ts';

const readAt = promisify(read);

/** Large enough that system calls don't count, small enough to stay in the processor's cache. */
const CHUNK = 256 * 1024;

/** The bytes of one file of a layout: a range of an open file. */
export interface Extent {
  readonly fd: number;
  /** Where it begins, in bytes from the file's start. */
  readonly position: number;
  /** Bytes. */
  readonly size: number;
  /** Whether the descriptor belongs to this extent alone. */
  readonly owned: boolean;
}

/** Where a layout's files are: a directory, or a tar archive. */
export interface Storage {
  /** As the user named it. */
  readonly path: string;
  /** The names at the layout's top. */
  topLevel(): readonly string[];
  /**
   * Finds a file by its name relative to the layout, such as `blobs/sha256/…`.
   *
   * @returns undefined where there is none
   * @throws Error when it is no regular file, or lies outside of the layout
   */
  open(name: string): Extent | undefined;
  close(): void;
}

/** Gives an extent's descriptor back. */
export function release(extent: Extent): void {
  if (extent.owned) closeSync(extent.fd);
}

/** The content of a layout's file. @returns undefined where there is none */
export function openContent(storage: Storage, name: string): Content | undefined {
  const extent = storage.open(name);
  return extent && contentOf(extent);
}

/** The first bytes of an open file as content; the descriptor stays the caller's. */
export function borrowed(fd: number, size: number): Content {
  return contentOf({ fd, position: 0, size, owned: false });
}

/** An extent as content: to release that is to release the extent. */
function contentOf(extent: Extent): Content {
  return {
    size: extent.size,
    read: (from) => readExtent(extent, from),
    release: () => release(extent),
  };
}

/**
 * Reads an extent, never beyond its end. The next chunk is read while the caller works on the
 * last one. The caller still has to release the extent.
 *
 * @param from the offset in the extent to begin at
 * @throws Error when the file cannot be read, or has become shorter
 */
export async function* readExtent(
  extent: Extent,
  from = 0,
): AsyncGenerator<Uint8Array, void, undefined> {
  let done = from;
  let pending = ahead(extent, done);
  try {
    while (done < extent.size) {
      const chunk = await pending;
      done += chunk.byteLength;
      pending = ahead(extent, done);
      yield chunk;
    }
  } finally {
    // The descriptor may be closed as soon as this returns: no read may be under way.
    await pending.catch(() => undefined);
  }
}

/** Begins to read a chunk. Its failure waits for the caller, however long that takes. */
function ahead(extent: Extent, offset: number): Promise<Uint8Array> {
  const chunk = chunkAt(extent, offset);
  chunk.catch(() => undefined);
  return chunk;
}

async function chunkAt(extent: Extent, offset: number): Promise<Uint8Array> {
  const length = Math.min(CHUNK, extent.size - offset);
  if (length === 0) return new Uint8Array(0);
  const buffer = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const position = extent.position + offset + filled;
    const { bytesRead } = await readAt(extent.fd, buffer, filled, length - filled, position).catch(
      (error: unknown) => {
        throw new Error(`cannot be read: ${reason(error)}`, { cause: error });
      },
    );
    if (bytesRead === 0)
      throw new Error(`ends after ${offset + filled} of ${extent.size} bytes: it was truncated`);
    filled += bytesRead;
  }
  return buffer;
}
