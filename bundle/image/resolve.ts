import type { Descriptor, ImageConfig, Index, Manifest, Platform } from '../../schemas/image.ts';
import {
  formatViolations,
  parseJson,
  type Violation,
  validateImageConfig,
  validateIndex,
  validateManifest,
  withoutNulls,
} from '../../schemas/validate-image.ts';
import { compressionOf } from '../layers/compression.ts';
import { isConfigType, isIndexType, isManifestType } from './media-types.ts';
import { formatPlatform, hostPlatform, platformDistance } from './platform.ts';
import { readDocument } from './read-blob.ts';
import type { BlobSource, ImageSource } from './source.ts';

/** No builder nests indexes deeper than two; a layout that does wants to keep somebody busy. */
const MAX_DEPTH = 8;

/** One image, for one platform. */
export interface Image {
  /** The manifest's descriptor. */
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

/** An image that an index offers, and for what it is. */
interface Candidate {
  readonly descriptor: Descriptor;
  readonly platform: Platform;
}

/**
 * Follows what a reference leads to, to the one image that it means: nested indexes, the
 * choice of the platform, the manifest, the configuration. Everything is checked on the way.
 *
 * @param platform what to choose from an index; the machine's own where undefined
 * @throws Error in one line when any of them is missing, invalid or for other platforms
 */
export async function resolveImage(source: ImageSource, platform?: Platform): Promise<Image> {
  const image = await findImage(source, platform);
  checkUnpackable(image.manifest, image.config);
  return image;
}

/** Like `resolveImage`, for an image that is only looked at: it need not be one for Linux. */
export async function findImage(source: ImageSource, platform?: Platform): Promise<Image> {
  const descriptor = await chooseManifest(source, platform);
  const chosen = descriptor !== source.root;
  if (!isManifestType(descriptor.mediaType))
    throw new Error(
      `${source.name}: ${descriptor.digest} is no image: its media type is ${descriptor.mediaType}`,
    );
  const manifest = await readManifest(source, descriptor);
  const config = await readConfig(source, manifest);
  // An index has the last word on what it offers: the variant is often absent in configurations.
  if (!chosen && platform !== undefined && platformDistance(platform, config) === undefined)
    throw new Error(
      `${source.name} has no image for ${formatPlatform(platform)}, only for ${formatPlatform(config)}`,
    );
  return { descriptor, manifest, config };
}

/**
 * The manifest that a reference means: what it leads to, or what an index there has for a platform.
 *
 * @throws Error in one line when the index has none
 */
export async function chooseManifest(
  source: ImageSource,
  platform: Platform = hostPlatform(),
): Promise<Descriptor> {
  const { root } = source;
  const isIndex = 'manifests' in root || isIndexType(root.mediaType);
  return isIndex ? choose(source, root, platform) : root;
}

/** Picks the image of an index that suits best; of equals the first (image-index.md). */
async function choose(
  source: BlobSource,
  root: Descriptor | Index,
  wanted: Platform,
): Promise<Descriptor> {
  let best: { descriptor: Descriptor; distance: number } | undefined;
  const offered: string[] = [];
  for await (const { descriptor, platform } of candidates(source, root, 0, new Set())) {
    offered.push(formatPlatform(platform));
    const distance = platformDistance(wanted, platform);
    if (distance !== undefined && (best === undefined || distance < best.distance))
      best = { descriptor, distance };
  }
  if (best !== undefined) return best.descriptor;
  const known = [...new Set(offered)].filter((name) => !name.startsWith('unknown/'));
  throw new Error(
    `${source.name} has no image for ${formatPlatform(wanted)}${
      known.length === 0 ? ': its index lists none' : `, only for ${known.join(', ')}`
    }`,
  );
}

/**
 * Every image below an index, in order. Entries of unknown media types are no concern of ours,
 * and an index that is listed again brings nothing new: following it could take for ever.
 */
async function* candidates(
  source: BlobSource,
  at: Descriptor | Index,
  depth: number,
  seen: Set<string>,
): AsyncGenerator<Candidate, void, undefined> {
  const index = 'manifests' in at ? at : await readIndex(source, at);
  for (const entry of index.manifests) {
    if (isManifestType(entry.mediaType)) {
      yield { descriptor: entry, platform: entry.platform ?? (await platformOf(source, entry)) };
    } else if (isIndexType(entry.mediaType) && !seen.has(entry.digest)) {
      if (depth === MAX_DEPTH)
        throw new Error(`${source.name}: image indexes are nested more than ${MAX_DEPTH} deep`);
      seen.add(entry.digest);
      yield* candidates(source, entry, depth + 1, seen);
    }
  }
}

/** The platform of an index's entry that does not say: its configuration knows. */
async function platformOf(source: BlobSource, entry: Descriptor): Promise<Platform> {
  const manifest = await readManifest(source, entry);
  // An artifact runs nowhere.
  if (!isConfigType(manifest.config.mediaType)) return { os: 'unknown', architecture: 'unknown' };
  return readConfig(source, manifest);
}

/** Reads an index. @throws Error as `readBlob` does, and for what is no valid index */
export async function readIndex(source: BlobSource, descriptor: Descriptor): Promise<Index> {
  return (await readJson(source, descriptor, 'image index', validateIndex)) as Index;
}

/** Reads a manifest. @throws Error as `readBlob` does, and for what is no valid manifest */
export async function readManifest(source: BlobSource, descriptor: Descriptor): Promise<Manifest> {
  return (await readJson(source, descriptor, 'image manifest', validateManifest)) as Manifest;
}

/** Reads an image's configuration. @throws Error also where a manifest has something else there */
export async function readConfig(source: BlobSource, { config }: Manifest): Promise<ImageConfig> {
  if (!isConfigType(config.mediaType))
    throw new Error(
      `${source.name}: this is no image of a root filesystem: its configuration's media type is ${config.mediaType}`,
    );
  return (await readJson(
    source,
    config,
    'image configuration',
    validateImageConfig,
    withoutNulls,
  )) as ImageConfig;
}

async function readJson(
  source: BlobSource,
  descriptor: Descriptor,
  what: string,
  validate: (value: unknown) => Violation[],
  prepare: (value: unknown) => unknown = (value) => value,
): Promise<unknown> {
  const file = `${what} ${descriptor.digest}`;
  const bytes = await readDocument(source, descriptor, what);
  const value = prepare(parseJson(bytes.toString(), file));
  const violations = validate(value);
  if (violations.length > 0) throw new Error(formatViolations(file, violations));
  // A document that others read as another type would be another image to them (CVE-2021-41190).
  const { mediaType } = value as { mediaType?: string };
  if (
    !isConfigType(descriptor.mediaType) &&
    (mediaType ?? descriptor.mediaType) !== descriptor.mediaType
  )
    throw new Error(
      `${file}: its mediaType is ${mediaType}, but its descriptor says ${descriptor.mediaType}`,
    );
  return value;
}

/** What would fail only after gigabytes were unpacked is refused before. */
function checkUnpackable(manifest: Manifest, config: ImageConfig): void {
  const { layers } = manifest;
  const diffIds = config.rootfs.diff_ids;
  if (config.os !== 'linux')
    throw new Error(
      `the image is for ${formatPlatform(config)}: only Linux images can be unpacked`,
    );
  if (config.rootfs.type !== 'layers')
    throw new Error(
      `image configuration ${manifest.config.digest}: rootfs.type ${JSON.stringify(config.rootfs.type)} is unknown: only "layers" can be unpacked`,
    );
  if (layers.length !== diffIds.length)
    throw new Error(
      `the image has ${layers.length} layers in its manifest, but ${diffIds.length} diff_ids in its configuration`,
    );
  for (const [i, { mediaType, digest }] of layers.entries())
    try {
      compressionOf(mediaType);
    } catch (error) {
      throw new Error(
        `layer ${i + 1} of ${layers.length} (${digest}): ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    }
}
