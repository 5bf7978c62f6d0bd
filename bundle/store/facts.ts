import type { ImageConfig, Index, Manifest } from '../../schemas/image.ts';
import { chainIds } from '../image/chain.ts';
import { isIndexType } from '../image/media-types.ts';
import { formatPlatform } from '../image/platform.ts';
import { type Image, readIndex } from '../image/resolve.ts';
import type { ImageSource } from '../image/source.ts';
import { blobSize } from './files.ts';
import { findLeases } from './leases.ts';
import { withLock } from './lock.ts';
import { nothing, reach } from './reach.ts';
import type { Store } from './store.ts';
import { unpackedOf } from './sweep.ts';

/** What an image is. */
export interface ImageFacts {
  /** Of what the reference leads to: a manifest or an index; undefined for a layout's own index. */
  readonly digest: string | undefined;
  readonly mediaType: string | undefined;
  /** Where that is an index. */
  readonly index?: Index;
  readonly platform: string;
  readonly manifestDigest: string;
  readonly manifest: Manifest;
  /** Digest of the configuration. */
  readonly id: string;
  readonly config: ImageConfig;
}

/** What the store has of an image. */
export interface StoreFacts {
  readonly path: string;
  /** All names of the image. */
  readonly names: readonly string[];
  /** Bytes of all blobs that the reference leads to, as far as they are there. */
  readonly size: number;
  readonly layers: readonly {
    readonly digest: string;
    readonly diffId: string;
    readonly chainId: string;
    /** Bytes of the blob; undefined where it is missing. */
    readonly size: number | undefined;
    /** Where it is unpacked. */
    readonly unpacked: readonly string[];
  }[];
  /** Bundles that are made of it. */
  readonly bundles: readonly string[];
}

/** @param image what was chosen of the source */
export async function factsOf(source: ImageSource, image: Image): Promise<ImageFacts> {
  const { root } = source;
  const isIndex = 'manifests' in root || isIndexType(root.mediaType);
  const index = 'manifests' in root ? root : isIndex ? await readIndex(source, root) : undefined;
  const { descriptor, manifest, config } = image;
  return {
    digest: 'digest' in root ? root.digest : undefined,
    mediaType: root.mediaType,
    ...(index === undefined ? {} : { index }),
    platform: formatPlatform(descriptor.platform ?? config),
    manifestDigest: descriptor.digest,
    manifest,
    id: manifest.config.digest,
    config,
  };
}

/** @returns undefined for an image that the store does not have */
export async function storeFactsOf(
  store: Store,
  { root }: ImageSource,
  { descriptor, manifest, config }: Image,
): Promise<StoreFacts | undefined> {
  const { path } = store;
  if ('manifests' in root || !store.exists() || blobSize(path, root.digest) === undefined)
    return undefined;
  const source = store.blobs();
  const needed = nothing();
  try {
    await reach(path, source, root, needed);
  } finally {
    source.close();
  }
  const chain = chainIds(config.rootfs.diff_ids);
  const leases = await withLock(path, 'exclusive', () => findLeases(path));
  const names = store.references().filter((one) => one.descriptor.digest === root.digest);
  const bundles = leases.filter(({ digests }) => digests.includes(descriptor.digest));
  return {
    path,
    names: names.flatMap(({ name }) => name ?? []),
    size: [...needed.blobs].reduce((sum, digest) => sum + (blobSize(path, digest) ?? 0), 0),
    layers: manifest.layers.map(({ digest }, i) => ({
      digest,
      diffId: config.rootfs.diff_ids[i] ?? '',
      chainId: chain[i] ?? '',
      size: blobSize(path, digest),
      unpacked: unpackedOf(path, chain[i] ?? ''),
    })),
    bundles: bundles.flatMap(({ bundle, alive }) => (alive ? (bundle ?? []) : [])).sort(),
  };
}
