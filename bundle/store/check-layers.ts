import { existsSync, lstatSync, mkdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Descriptor } from '../../schemas/image.ts';
import { discard, makeTemporary } from '../files/temporary.ts';
import { chainIds } from '../image/chain.ts';
import { isConfigType, isIndexType, isManifestType } from '../image/media-types.ts';
import { type Image, readConfig, readIndex, readManifest } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import { detectPrivileges, type Privileges } from '../layers/privileges.ts';
import { compareTrees } from '../layers/write/changes.ts';
import { type DiskFile, displayPath, type TreeFile } from '../layers/write/disk-file.ts';
import { DiskTree } from '../layers/write/disk-tree.ts';
import { blobSize, chainIdOf, layerDirectory, STORE } from './files.ts';
import { ensureLayers } from './layers.ts';
import { findLeases } from './leases.ts';
import { withLock } from './lock.ts';
import { type Problem, problemOf } from './problem.ts';
import type { Store } from './store.ts';

/**
 * Compares the unpacked layers of all images with what their blobs unpack to: each image is
 * unpacked once more, beside them, and removed again.
 *
 * @param repair whether to remove those that differ, so that they are unpacked anew when they are
 *   needed; not while a bundle is made of them
 * @throws Error in one line when an image can't be unpacked
 */
export async function checkLayers(store: Store, repair: boolean): Promise<Problem[]> {
  const source = store.blobs();
  const scratch = makeTemporary(join(store.path, STORE.temporary), 'check-');
  const path = join(scratch.parent, scratch.name);
  try {
    for (const name of [STORE.temporary, STORE.layers]) mkdirSync(join(path, name));
    const differing = new Map<string, string>();
    for (const { descriptor } of store.references()) {
      const lease = await store.lease(descriptor.digest);
      try {
        for await (const image of imagesOf(store.path, source, descriptor))
          await compareLayers(store, { ...store, path }, source, image, differing);
      } finally {
        lease.release();
      }
    }
    return await withLock(store.path, 'exclusive', () =>
      [...differing].map(([directory, message]) =>
        judge(store.path, directory, message, repair ? path : undefined),
      ),
    );
  } finally {
    source.close();
    discard(scratch);
  }
}

/**
 * All images below an entry that the store has.
 *
 * @param seen indexes that were looked at: following them again could take for ever
 */
async function* imagesOf(
  store: string,
  source: BlobSource,
  descriptor: Descriptor,
  seen = new Set<string>(),
): AsyncGenerator<Image, void, undefined> {
  if (blobSize(store, descriptor.digest) === undefined) return;
  if (isIndexType(descriptor.mediaType)) {
    if (seen.has(descriptor.digest)) return;
    seen.add(descriptor.digest);
    const { manifests } = await readIndex(source, descriptor);
    for (const child of manifests) yield* imagesOf(store, source, child, seen);
  } else if (isManifestType(descriptor.mediaType)) {
    const manifest = await readManifest(source, descriptor);
    if (isConfigType(manifest.config.mediaType))
      yield { descriptor, manifest, config: await readConfig(source, manifest) };
  }
}

/** @param scratch a store for what is unpacked once more */
async function compareLayers(
  store: Store,
  scratch: Store,
  source: BlobSource,
  image: Image,
  differing: Map<string, string>,
): Promise<void> {
  const chain = chainIds(image.config.rootfs.diff_ids);
  // What was made with other privileges than these can't be made now.
  for (const privileges of new Set<Privileges>([detectPrivileges(), 'rootless'])) {
    const present = chain.filter((id) => existsSync(layerDirectory(store.path, id, privileges)));
    if (present.length === 0) continue;
    await ensureLayers(scratch, source, image, { privileges, scratch: true });
    for (const id of present) {
      const [old, fresh] = [store, scratch].map(({ path }) => layerDirectory(path, id, privileges));
      const difference = firstDifference(old as string, fresh as string, privileges);
      if (difference !== undefined) differing.set(old as string, difference);
    }
  }
}

function firstDifference(
  directory: string,
  fresh: string,
  privileges: Privileges,
): string | undefined {
  // Marks of overlays are files and attributes like others here.
  const form = { overlay: false, rootless: privileges === 'rootless' };
  const trees = [directory, fresh].map((path) => new DiskTree(join(path, 'diff'), form));
  const [tree, other] = trees as [DiskTree, DiskTree];
  try {
    const sameContent = (file: DiskFile, wanted: TreeFile) => file.digest() === wanted.digest();
    const options = { upper: false, excluded: [], sameContent };
    const changes = compareTrees(tree.root(), other.root(), options);
    const change = changes.find(
      ({ parent, path, file }) => !parent && !(isWhiteout(file) && isWhiteoutAt(fresh, path)),
    );
    return change && `${displayPath(change.path)} was ${change.kind}`;
  } finally {
    for (const each of trees) each.close();
  }
}

/** What an overlay takes for a whiteout; its times mean nothing. */
function isWhiteout(file: DiskFile | undefined): boolean {
  return file?.type === 'character device' && file.major === 0 && file.minor === 0;
}

function isWhiteoutAt(layer: string, path: string): boolean {
  const name = Buffer.concat([Buffer.from(`${layer}/diff/`), Buffer.from(path, 'latin1')]);
  const status = lstatSync(name, { throwIfNoEntry: false });
  return status?.isCharacterDevice() === true && status.rdev === 0;
}

/**
 * Says what is wrong with a layer. The store is locked exclusively.
 *
 * @param grave where it is put to be removed; undefined to leave it where it is
 */
function judge(
  store: string,
  directory: string,
  difference: string,
  grave: string | undefined,
): Problem {
  const name = basename(directory);
  const message = `${difference} since it was unpacked`;
  const chainId = chainIdOf(name);
  const user = findLeases(store).find((one) => one.alive && one.digests.includes(chainId));
  if (user !== undefined) {
    const who = user.bundle === undefined ? 'a command that runs' : `the bundle ${user.bundle}`;
    return problemOf('layer', name, `${message}, and ${who} uses it`, undefined, false);
  }
  if (grave !== undefined && existsSync(directory)) renameSync(directory, join(grave, name));
  return problemOf('layer', name, message, 'removed', grave !== undefined);
}
