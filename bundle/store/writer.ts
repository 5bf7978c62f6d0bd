import { closeSync, fstatSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Descriptor } from '../../schemas/image.ts';
import { syncDirectory } from '../files/replace-file.ts';
import type { ImageDestination } from '../image/source.ts';
import { borrowed } from '../image/storage.ts';
import { blobFile, blobSize, STORE } from './files.ts';
import type { Lease } from './leases.ts';
import { append, openPartial, type Partial, removePartial } from './partial.ts';

/** The part of a store that takes blobs. */
export interface BlobWriter extends Required<Pick<ImageDestination, 'has' | 'partial' | 'write'>> {
  /** Makes the blobs' names safe from a loss of power: before anything refers to them. */
  sync(): void;
  close(): void;
}

/**
 * Opens a store for blobs. They appear under their digests when they are whole and safe from a
 * loss of power.
 *
 * @param lease holds whatever is written or found
 */
export function openWriter(store: string, lease: Lease): BlobWriter {
  const begun = new Map<string, Partial>();
  return {
    async has(descriptor) {
      await lease.add(descriptor.digest);
      return blobSize(store, descriptor.digest) === descriptor.size;
    },
    async partial({ digest, size }) {
      const file = begun.get(digest) ?? openPartial(store, digest);
      begun.set(digest, file);
      const found = fstatSync(file.fd).size;
      return found === 0 || found > size ? undefined : borrowed(file.fd, found);
    },
    async write(descriptor, content, from = 0) {
      const { digest } = descriptor;
      await lease.add(digest);
      const file = begun.get(digest) ?? openPartial(store, digest);
      begun.delete(digest);
      try {
        await fill(file, descriptor, content, from, store);
        const target = blobFile(store, digest);
        mkdirSync(dirname(target), { recursive: true });
        renameSync(file.path, target);
      } finally {
        closeSync(file.fd);
      }
    },
    sync() {
      syncDirectory(join(store, STORE.blobs));
      for (const algorithm of ['sha256', 'sha512']) {
        const directory = join(store, STORE.blobs, algorithm);
        if (statSync(directory, { throwIfNoEntry: false }) !== undefined) syncDirectory(directory);
      }
    },
    close() {
      for (const file of begun.values()) {
        if (fstatSync(file.fd).size === 0) removePartial(file);
        closeSync(file.fd);
      }
      begun.clear();
    },
  };
}

/** Writes what is missing. What can't be continued is removed when that fails. */
async function fill(
  file: Partial,
  { digest, size }: Descriptor,
  content: AsyncIterable<Uint8Array>,
  from: number,
  store: string,
): Promise<void> {
  let interrupted = false;
  try {
    await append(file, from, watched(), `${digest} to the image store ${store}`);
  } catch (error) {
    // A source that broke off may be asked for the rest; what is whole and wrong is worth nothing.
    const worth = interrupted && fstatSync(file.fd).size < size;
    if (!worth) removePartial(file);
    throw error;
  }
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      yield* content;
    } catch (error) {
      interrupted = true;
      throw error;
    }
  }
}
