import {
  closeSync,
  fsync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  write,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { reason } from '../../runtime/linux/reason.ts';
import type { Descriptor } from '../../schemas/image.ts';
import { parseDigest } from '../image/digest.ts';
import { discard, makeTemporary, type Temporary } from '../temporary.ts';
import { STORE, syncDirectory } from './files.ts';
import type { Lease } from './leases.ts';

const writeAt = promisify(write);
const sync = promisify(fsync);

/** The part of a store that takes blobs. */
export interface BlobWriter {
  /** Whether the store has this content; if so, it stays as long as the lease. */
  has(descriptor: Descriptor): Promise<boolean>;
  /**
   * Takes a blob. It appears under its digest when it is whole and safe from a loss of power.
   *
   * @param content throws at its end if it is not what the descriptor says
   * @throws Error in one line; nothing is left then
   */
  write(descriptor: Descriptor, content: AsyncIterable<Uint8Array>): Promise<void>;
  /** Makes the blobs' names safe from a loss of power: before anything refers to them. */
  sync(): void;
  /** Removes what was not finished. */
  close(): void;
}

/**
 * Opens a store for blobs.
 *
 * @param lease holds whatever is written or found
 */
export function openWriter(store: string, lease: Lease): BlobWriter {
  let made: Temporary | undefined;
  let count = 0;
  const temporaryFile = () => {
    made ??= makeTemporary(join(store, STORE.temporary), 'blobs-');
    return join(made.parent, made.name, String(count++));
  };
  return {
    async has(descriptor) {
      await lease.add(descriptor.digest);
      const found = statSync(blobFile(store, descriptor.digest), { throwIfNoEntry: false });
      return found?.size === descriptor.size;
    },
    async write(descriptor, content) {
      const file = blobFile(store, descriptor.digest);
      await lease.add(descriptor.digest);
      const temporary = temporaryFile();
      try {
        await fill(temporary, content, descriptor, store);
        mkdirSync(dirname(file), { recursive: true });
        renameSync(temporary, file);
      } catch (error) {
        rmSync(temporary, { force: true });
        throw error;
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
      if (made !== undefined) discard(made);
      made = undefined;
    },
  };
}

/** Where a blob is kept. @throws Error for what is no digest */
export function blobFile(store: string, digest: string): string {
  const { algorithm, encoded } = parseDigest(digest);
  return join(store, STORE.blobs, algorithm, encoded);
}

async function fill(
  file: string,
  content: AsyncIterable<Uint8Array>,
  { digest }: Descriptor,
  store: string,
): Promise<void> {
  const fd = openSync(file, 'wx', 0o644);
  const attempt = async <T>(work: Promise<T>) =>
    work.catch((error: unknown) => {
      throw new Error(`cannot write ${digest} to the image store ${store}: ${reason(error)}`, {
        cause: error,
      });
    });
  try {
    for await (const chunk of content)
      for (let done = 0; done < chunk.byteLength; )
        done += (await attempt(writeAt(fd, chunk, done, chunk.byteLength - done))).bytesWritten;
    await attempt(sync(fd));
  } finally {
    closeSync(fd);
  }
}
