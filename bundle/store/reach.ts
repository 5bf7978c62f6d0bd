import { existsSync, readFileSync, statSync } from 'node:fs';
import type { Descriptor } from '../../schemas/image.ts';
import { chainIds } from '../image/chain.ts';
import { isConfigType, isIndexType, isManifestType } from '../image/media-types.ts';
import { readConfig, readIndex, readManifest } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import { blobFile } from './files.ts';

/** What images need of a store. */
export interface Reach {
  /** Digests of their blobs, also of those that the store does not have. */
  readonly blobs: Set<string>;
  /** Those of them that are indexes and manifests. */
  readonly documents: Set<string>;
  /** Names of their unpacked layers. */
  readonly chains: Set<string>;
}

export const nothing = (): Reach => ({
  blobs: new Set(),
  documents: new Set(),
  chains: new Set(),
});

/** The largest blob that is looked at to see whether it is an index or a manifest. */
const LARGEST_DOCUMENT = 8 * 1024 * 1024;

/**
 * Adds what an image needs. An index may list images that the store does not have: those for
 * other platforms. What a manifest lists that is missing counts as needed all the same.
 *
 * @param store the path of the store
 * @throws Error in one line when a manifest or an index is damaged: nobody knows what it needs
 */
export async function reach(
  store: string,
  source: BlobSource,
  descriptor: Descriptor,
  into: Reach,
): Promise<void> {
  if (into.blobs.has(descriptor.digest)) return;
  into.blobs.add(descriptor.digest);
  into.documents.add(descriptor.digest);
  if (!existsSync(blobFile(store, descriptor.digest))) return;
  if (isIndexType(descriptor.mediaType)) {
    const { manifests } = await readIndex(source, descriptor);
    for (const child of manifests) await reach(store, source, child, into);
  } else if (isManifestType(descriptor.mediaType)) {
    const manifest = await readManifest(source, descriptor);
    for (const { digest } of [manifest.config, ...manifest.layers]) into.blobs.add(digest);
    const { digest, mediaType } = manifest.config;
    if (!isConfigType(mediaType) || !existsSync(blobFile(store, digest))) return;
    const { rootfs } = await readConfig(source, manifest);
    for (const chain of chainIds(rootfs.diff_ids)) into.chains.add(chain);
  }
}

/**
 * Adds what is leased: a digest may be any blob's, an unpacked layer's chain ID, or an image's, and
 * then of all that it needs.
 */
export async function reachLeased(
  store: string,
  source: BlobSource,
  digest: string,
  into: Reach,
): Promise<void> {
  const descriptor = documentOf(store, digest);
  if (descriptor === undefined) {
    into.blobs.add(digest);
    into.chains.add(digest);
  } else await reach(store, source, descriptor, into);
}

/** The descriptor of a blob that is an index or a manifest by its looks; undefined of others. */
export function documentOf(store: string, digest: string): Descriptor | undefined {
  const file = blobFile(store, digest);
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0 || size > LARGEST_DOCUMENT) return undefined;
  const text = readFileSync(file, 'utf8');
  if (!text.startsWith('{')) return undefined;
  try {
    const { mediaType, manifests, layers } = JSON.parse(text);
    const kind = Array.isArray(manifests)
      ? 'index'
      : Array.isArray(layers)
        ? 'manifest'
        : undefined;
    if (kind === undefined) return undefined;
    return {
      mediaType: mediaType ?? `application/vnd.oci.image.${kind}.v1+json`,
      digest: digest as Descriptor['digest'],
      size,
    };
  } catch {
    return undefined;
  }
}
