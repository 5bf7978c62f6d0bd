import { statSync } from 'node:fs';
import type { Descriptor, ImageConfig, Manifest } from '../../schemas/image.ts';
import { isConfigType, isIndexType, isManifestType } from '../image/media-types.ts';
import { formatPlatform, hostPlatform, platformDistance } from '../image/platform.ts';
import { readConfig, readIndex, readManifest } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import { blobFile } from './files.ts';
import type { Reference } from './index-file.ts';
import { nothing, reach } from './reach.ts';
import type { Store } from './store.ts';

/** An image of the store for one platform. */
export interface Variant {
  /** Of its manifest. */
  readonly digest: string;
  /** Digest of its configuration: the image's ID. */
  readonly id: string;
  readonly platform: string;
  /** RFC 3339. */
  readonly created: string | undefined;
  /** Bytes of its blobs that the store has. */
  readonly size: number;
}

/** An entry of the store, for lists. */
export interface Summary {
  readonly name: string | undefined;
  /** Of what the name leads to: a manifest or an index. */
  readonly digest: string;
  readonly mediaType: string;
  /** Of the image that this machine takes, or else the first. */
  readonly id: string | undefined;
  readonly created: string | undefined;
  /** Bytes of all of its blobs. */
  readonly size: number;
  /** Those that the store has. */
  readonly variants: readonly Variant[];
  /** Why no more is known of it. */
  readonly damage?: string;
}

/** Describes all entries of a store, in the order of its index. */
export async function summarise(store: Store): Promise<Summary[]> {
  const source = store.blobs();
  try {
    const summaries: Summary[] = [];
    for (const reference of store.references())
      summaries.push(await summaryOf(store.path, source, reference));
    return summaries;
  } finally {
    source.close();
  }
}

/** Describes one. A damaged one is described, too, as far as it goes. */
async function summaryOf(
  store: string,
  source: BlobSource,
  { name, descriptor }: Reference,
): Promise<Summary> {
  const { digest, mediaType } = descriptor;
  const head = { name, digest, mediaType };
  try {
    const variants: Variant[] = [];
    for await (const variant of variantsOf(store, source, descriptor)) variants.push(variant);
    const needed = nothing();
    await reach(store, source, descriptor, needed);
    const { id, created } = preferred(variants) ?? { id: undefined, created: undefined };
    return { ...head, id, created, size: sizeOf(store, needed.blobs), variants };
  } catch (error) {
    const damage = (error as Error).message;
    return { ...head, id: undefined, created: undefined, size: 0, variants: [], damage };
  }
}

/** What this machine takes, as `resolveImage` does, or else the first. */
function preferred(variants: readonly Variant[]): Variant | undefined {
  const host = hostPlatform();
  const distance = ({ platform }: Variant) => {
    const [os = '', architecture = '', variant] = platform.split('/');
    return platformDistance(host, { os, architecture, ...(variant ? { variant } : {}) });
  };
  return (
    variants
      .filter((variant) => distance(variant) !== undefined)
      .sort((one, other) => (distance(one) as number) - (distance(other) as number))[0] ??
    variants[0]
  );
}

/** @param seen indexes that were looked at: following them again could take for ever */
async function* variantsOf(
  store: string,
  source: BlobSource,
  descriptor: Descriptor,
  seen = new Set<string>(),
): AsyncGenerator<Variant, void, undefined> {
  if (!isPresent(store, descriptor.digest)) return;
  if (isIndexType(descriptor.mediaType)) {
    if (seen.has(descriptor.digest)) return;
    seen.add(descriptor.digest);
    const { manifests } = await readIndex(source, descriptor);
    for (const child of manifests) yield* variantsOf(store, source, child, seen);
  } else if (isManifestType(descriptor.mediaType)) {
    const manifest = await readManifest(source, descriptor);
    if (!isConfigType(manifest.config.mediaType)) return;
    const config = await readConfig(source, manifest);
    // A builder's attestations are in images that run nowhere.
    if (config.os === 'unknown' || config.architecture === 'unknown') return;
    yield variantOf(store, descriptor, manifest, config);
  }
}

function variantOf(
  store: string,
  descriptor: Descriptor,
  { config: { digest }, layers }: Manifest,
  config: ImageConfig,
): Variant {
  // What the index says of the platform is more: the variant is often absent in configurations.
  const platform = formatPlatform(descriptor.platform ?? config);
  const blobs = new Set([descriptor.digest, digest, ...layers.map((layer) => layer.digest)]);
  return {
    digest: descriptor.digest,
    id: digest,
    platform,
    created: config.created,
    size: sizeOf(store, blobs),
  };
}

function sizeOf(store: string, digests: Iterable<string>): number {
  let sum = 0;
  for (const digest of digests)
    sum += statSync(blobFile(store, digest), { throwIfNoEntry: false })?.size ?? 0;
  return sum;
}

function isPresent(store: string, digest: string): boolean {
  return statSync(blobFile(store, digest), { throwIfNoEntry: false }) !== undefined;
}
