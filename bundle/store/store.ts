import { constants, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import type { Descriptor } from '../../schemas/image.ts';
import { foreignOwner } from '../files/ownership.ts';
import { directoryStorage } from '../image/directory.ts';
import { layoutBlobs } from '../image/layout-source.ts';
import { parseName } from '../image/name.ts';
import type { BlobSource, ImageDestination, ImageSource } from '../image/source.ts';
import { STORE, storePath } from './files.ts';
import { type Reference, readReferences, withReference, writeReferences } from './index-file.ts';
import { initialise } from './initialise.ts';
import { dropBundleLease, type Lease, takeBundleLease, takeLease } from './leases.ts';
import { withLock } from './lock.ts';
import { type Found, find, localName } from './lookup.ts';
import { tidy } from './tidy.ts';
import { openWriter } from './writer.ts';

export type { Lease, Reference };

/** Why no lease can be written; ENOENT is a store that was never one of ours. */
const UNWRITABLE = ['ENOENT', 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT'];

/**
 * The images of this machine: an OCI image layout, with unpacked layers and leases beside it
 * (docs/store.md). Several processes may use it at once.
 */
export interface Store {
  /** Absolute. */
  readonly path: string;
  /** How errors call it. */
  readonly name: string;
  /** Whether anything was ever kept there. */
  exists(): boolean;
  /** Completes what is there: a layout that another tool made, a store whose maker was killed. */
  adopt(): Promise<void>;
  /** Its images, with and without names. @throws Error in one line when its index is damaged */
  references(): Reference[];
  /** All of its blobs. The caller closes it. Without a lease they may go at any moment. */
  blobs(): BlobSource;
  /**
   * Finds an image, see `find` of lookup.ts.
   *
   * @throws Error in one line that names what is there
   */
  find(reference: string): Promise<Found>;
  /** The image that a reference leads to. It stays in the store until `close`. */
  source(reference: string): Promise<ImageSource>;
  /**
   * A place for a new image. What is written there stays until `close`, and for as long as
   * something refers to it.
   *
   * @param reference its name, completed as by `localName`; undefined for an image without one
   */
  destination(reference: string | undefined): Promise<ImageDestination>;
  /** Gives an image one more name. @returns it, completed */
  tag(reference: string, name: string): Promise<string>;
  /** Keeps content in the store while the process uses it. Makes the store if there is none. */
  lease(...digests: readonly string[]): Promise<Lease>;
  /**
   * Keeps content in the store for a bundle, until that is gone.
   *
   * @param bundle absolute path; it may not be there yet, but has to be at the lease's `release`
   */
  leaseForBundle(bundle: string, ...digests: readonly string[]): Promise<Lease>;
  /** Ends a bundle's lease: it is about to be removed. */
  releaseBundle(bundle: string): void;
}

/**
 * Opens the store. It need not exist: it is made when something is written.
 *
 * @param chosen the value of `--store`
 */
export function openStore(chosen?: string): Store {
  const path = storePath(chosen);
  const references = () => readReferences(path);
  const blobs = () => openBlobs(path);
  const lookUp = async (reference: string) => {
    const source = blobs();
    try {
      return await find(reference, references(), source);
    } finally {
      source.close();
    }
  };
  return {
    path,
    name: path,
    exists: () => existsSync(join(path, STORE.lock)),
    async adopt() {
      const begun = [STORE.marker, STORE.lock].some((name) => existsSync(join(path, name)));
      if (begun) await initialise(path);
    },
    references,
    blobs,
    find: lookUp,
    source: (reference) => openSource(path, reference, () => lookUp(reference)),
    destination: (reference) => openDestination(path, reference),
    async tag(reference, text) {
      if (parseName(text).digest !== undefined)
        throw new Error(`${JSON.stringify(text)} has a digest: a new name takes a tag only`);
      const name = localName(text);
      // A store is not made for a name of nothing.
      await lookUp(reference);
      await initialise(path);
      await withLock(path, 'exclusive', async () => {
        const { descriptor } = await lookUp(reference);
        writeReferences(path, withReference(references(), { name, descriptor }));
      });
      return name;
    },
    async lease(...digests) {
      await initialise(path);
      return takeLease(path, async () => digests);
    },
    async leaseForBundle(bundle, ...digests) {
      await initialise(path);
      return takeBundleLease(path, bundle, digests);
    },
    releaseBundle: (bundle) => dropBundleLease(path, bundle),
  };
}

function openBlobs(path: string): BlobSource {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    return layoutBlobs(directoryStorage(path, fd));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { name: path, open: async () => undefined, close() {} };
    throw new Error(`cannot open the image store ${path}: ${reason(error)}`, { cause: error });
  }
}

async function openSource(
  path: string,
  reference: string,
  lookUp: () => Promise<Found>,
): Promise<ImageSource> {
  let root: Descriptor | undefined;
  const look = async () => {
    root = (await lookUp()).descriptor;
    return [root.digest];
  };
  const lease = await leaseToRead(path, look);
  try {
    const blobs = openBlobs(path);
    return {
      name: reference,
      root: root as unknown as Descriptor,
      open: (descriptor) => blobs.open(descriptor),
      close() {
        blobs.close();
        lease?.release();
      },
    };
  } catch (error) {
    lease?.release();
    throw error;
  }
}

/** A lease, where one can be written: a store may be read without it, and on a full disk. */
async function leaseToRead(
  path: string,
  look: () => Promise<readonly string[]>,
): Promise<Lease | undefined> {
  try {
    if (foreignOwner(path) === undefined) return await takeLease(path, look);
    // Nothing is written into somebody else's directory.
    await look();
    return undefined;
  } catch (error) {
    if (!UNWRITABLE.includes(codeOf(error) ?? '')) throw error;
    await look();
    return undefined;
  }
}

async function openDestination(
  path: string,
  reference: string | undefined,
): Promise<ImageDestination> {
  const name = reference === undefined ? undefined : localName(reference);
  await initialise(path);
  await tidy(path);
  const lease = await takeLease(path, async () => []);
  const writer = openWriter(path, lease);
  return {
    name: reference ?? path,
    has: writer.has,
    partial: writer.partial,
    write: writer.write,
    async finish(descriptor) {
      writer.sync();
      await withLock(path, 'exclusive', () => {
        writeReferences(path, withReference(readReferences(path), { name, descriptor }));
      });
    },
    async close() {
      writer.close();
      lease.release();
    },
  };
}
