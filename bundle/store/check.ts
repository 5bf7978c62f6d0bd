import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Descriptor } from '../../schemas/image.ts';
import { readBlob } from '../image/read-blob.ts';
import type { BlobSource } from '../image/source.ts';
import { faultsOf, type ImageFault } from './faults.ts';
import { blobFile, blobSize, STORE } from './files.ts';
import { checkFiles } from './files-check.ts';
import { readReferences, writeReferences } from './index-file.ts';
import { findLeases } from './leases.ts';
import { withLock } from './lock.ts';
import { type Problem, problemOf } from './problem.ts';
import { nothing, reach, reachLeased } from './reach.ts';
import type { Store } from './store.ts';
import { contentOf, wasteOf } from './sweep.ts';

/** The state of a store. */
export interface StoreReport {
  readonly path: string;
  /** Entries of its index. */
  readonly images: number;
  readonly blobs: number;
  /** Bytes of all blobs. */
  readonly bytes: number;
  /** Unpacked layers. */
  readonly layers: number;
  /** What `prune` would take: there is no harm in it. Undefined as long as there are problems. */
  readonly unused:
    | { readonly blobs: number; readonly layers: number; readonly bytes: number }
    | undefined;
  readonly problems: readonly Problem[];
}

/**
 * Reads all of a store: every blob against its digest, every image against what it lists.
 *
 * @param repair whether to remove what is damaged, so that the next pull brings it again, with
 *   the names of images that can't be used any more
 * @throws Error in one line when it can't be read, or not be repaired
 */
export async function checkStore(store: Store, repair: boolean): Promise<StoreReport> {
  const { path } = store;
  if (repair) await store.adopt();
  const source = store.blobs();
  try {
    if (!store.exists() && !existsSync(join(path, STORE.marker)))
      return { ...(await count(path, source, true)), path, problems: [] };
    const suspects = await damagedBlobs(path, source, contentOf(path).blobs);
    const judge = async () => {
      // Since then somebody may have removed them, or written them again.
      const damaged = await damagedBlobs(path, source, suspects.keys());
      const digests = new Set(damaged.keys());
      const files = checkFiles(path, digests, repair);
      const readable = files.every(({ repaired }) => repaired !== undefined);
      const problems = [
        ...files,
        ...[...damaged].map(([digest, message]) => blobProblem(path, digest, message, repair)),
        ...(readable ? await checkImages(path, source, digests, repair) : []),
      ];
      const whole = problems.every(({ repaired }) => repaired !== undefined);
      return { ...(await count(path, source, whole)), path, problems };
    };
    // A layout of another tool's has no lock.
    return await (store.exists() ? withLock(path, 'exclusive', judge) : judge());
  } finally {
    source.close();
  }
}

/** The blobs whose content is not what their names say, and why. */
async function damagedBlobs(
  store: string,
  source: BlobSource,
  digests: Iterable<string>,
): Promise<Map<string, string>> {
  const damaged = new Map<string, string>();
  for (const digest of digests) {
    const size = blobSize(store, digest);
    if (size === undefined) continue;
    const descriptor = { mediaType: '', digest: digest as Descriptor['digest'], size };
    try {
      for await (const _ of readBlob(source, descriptor, 'blob'));
    } catch (error) {
      if (blobSize(store, digest) !== undefined) damaged.set(digest, (error as Error).message);
    }
  }
  return damaged;
}

function blobProblem(path: string, digest: string, message: string, repair: boolean): Problem {
  if (repair) rmSync(blobFile(path, digest));
  return problemOf('blob', digest, message, 'removed', repair);
}

/** Checks all images, and takes those that can't be used out of the index if that is wanted. */
async function checkImages(
  path: string,
  source: BlobSource,
  damaged: ReadonlySet<string>,
  repair: boolean,
): Promise<Problem[]> {
  const references = readReferences(path);
  const faults: ImageFault[] = [];
  for (const entry of references) faults.push(...(await faultsOf(path, source, entry, damaged)));
  const twice = references.filter(
    ({ name, descriptor }, i) =>
      name !== undefined &&
      references
        .slice(i + 1)
        .some((other) => other.name === name && other.descriptor.digest !== descriptor.digest),
  );
  if (repair && faults.length + twice.length > 0) {
    const unusable = faults.flatMap(({ entry }) => entry ?? []);
    const left = references
      .filter((entry) => !unusable.includes(entry))
      .map((entry) => (twice.includes(entry) ? { ...entry, name: undefined } : entry));
    writeReferences(path, left);
    // An index without one of its images is complete: it may list what others have.
    for (const { entry, manifest } of faults)
      if (entry === undefined) rmSync(blobFile(path, manifest), { force: true });
  }
  return [
    ...faults.map(({ what, message, entry }) =>
      problemOf(
        'image',
        what,
        message,
        entry === undefined ? 'its part was removed' : 'taken out',
        repair,
      ),
    ),
    ...twice.map(({ name = '', descriptor: { digest } }) =>
      problemOf(
        'image',
        name,
        'more than one image has this name',
        `${digest} has no name now`,
        repair,
      ),
    ),
  ];
}

/** What is there, and what of it is not needed. */
async function count(
  path: string,
  source: BlobSource,
  whole: boolean,
): Promise<Omit<StoreReport, 'path' | 'problems'>> {
  const content = contentOf(path);
  const sizes = [...content.blobs].map((digest) => blobSize(path, digest) ?? 0);
  return {
    images: whole ? readReferences(path).length : 0,
    blobs: sizes.length,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    layers: content.chains.size,
    unused: whole ? await unusedOf(path, source) : undefined,
  };
}

async function unusedOf(path: string, source: BlobSource): Promise<StoreReport['unused']> {
  const needed = nothing();
  for (const { descriptor } of readReferences(path)) await reach(path, source, descriptor, needed);
  for (const { alive, digests } of findLeases(path))
    for (const digest of alive ? digests : []) await reachLeased(path, source, digest, needed);
  const { blobs, layers, bytes } = wasteOf(path, contentOf(path), needed);
  return { blobs: blobs.length, layers: layers.length, bytes };
}
