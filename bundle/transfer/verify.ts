import type { Descriptor, ImageConfig, Index, Manifest, Platform } from '../../schemas/image.ts';
import { isConfigType, isIndexType, isManifestType } from '../image/media-types.ts';
import { formatPlatform, platformDistance } from '../image/platform.ts';
import { readBlob } from '../image/read-blob.ts';
import { readConfig, readIndex, readManifest } from '../image/resolve.ts';
import type { BlobSource, ImageSource } from '../image/source.ts';
import { LayerApplier, undescribed } from '../layers/applier.ts';
import { compressionOf } from '../layers/compression.ts';
import { NOWHERE } from '../layers/nowhere.ts';
import { readLayer } from '../layers/read-layer.ts';
import type { SizeLimit } from '../layers/size-limit.ts';
import type { TarVisitor } from '../layers/tar/reader.ts';
import { Tree } from '../layers/tree.ts';

/** The media type of a configuration that says nothing (manifest.md: Guidance for an Empty Descriptor). */
const EMPTY = 'application/vnd.oci.empty.v1+json';

/** A blob that was looked at. */
export interface VerifiedBlob {
  readonly digest: string;
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
  /** Of a layer, without its compression. */
  readonly diffId?: string;
}

/** A manifest that was looked at, with all that it lists. */
export interface VerifiedManifest {
  readonly digest: string;
  /** undefined for what is no image of a root filesystem. */
  readonly platform: string | undefined;
  /** Digest of the configuration, which is the image's ID. */
  readonly id: string | undefined;
  readonly layers: readonly VerifiedBlob[];
  /** What is wrong, each in one line. */
  readonly problems: readonly string[];
  /** What is not as it should be, and does no harm. */
  readonly warnings: readonly string[];
}

/** What verifying an image has found. */
export interface VerifyReport {
  /** As the user named it. */
  readonly image: string;
  /** Of what the reference leads to; undefined where that is no blob. */
  readonly digest: string | undefined;
  /** Whether there is no problem at all. */
  readonly sound: boolean;
  readonly manifests: readonly VerifiedManifest[];
  /** What is wrong with the indexes, and images that they list and that are missing. */
  readonly problems: readonly string[];
  /** Platforms that the index lists and that are elsewhere. */
  readonly absent: readonly string[];
}

/** What of an image is verified. */
export interface VerifyOptions {
  /** Only the images of an index for this one. */
  readonly platform?: Platform;
  /** Whether images of an index may be missing, as in the store: those for other platforms. */
  readonly sparse: boolean;
  /** What each image may come to when it is unpacked; anything where undefined. */
  readonly limit?: SizeLimit;
  /** Hears how many bytes were read so far. */
  onProgress?(bytes: number): void;
}

/**
 * Verifies an image: every document against its schema and its descriptor, every blob against
 * size and digest, every layer against its diffID and as an archive that can be unpacked. All
 * that is wrong is reported, not only the first.
 */
export async function verifyImage(
  source: ImageSource,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const { root } = source;
  const run = new Verification(source, options);
  if ('manifests' in root) await run.index(root);
  else await run.descriptor(root, true);
  const { manifests, problems, absent } = run;
  return {
    image: source.name,
    digest: 'digest' in root ? root.digest : undefined,
    sound: problems.length === 0 && manifests.every((one) => one.problems.length === 0),
    manifests,
    problems,
    absent,
  };
}

class Verification {
  readonly manifests: VerifiedManifest[] = [];
  readonly problems: string[] = [];
  readonly absent: string[] = [];
  readonly #source: BlobSource;
  readonly #options: VerifyOptions;
  readonly #seen = new Set<string>();
  #bytes = 0;

  constructor(source: BlobSource, options: VerifyOptions) {
    this.#source = source;
    this.#options = options;
  }

  async index({ manifests }: Index): Promise<void> {
    for (const entry of manifests) if (this.#isWanted(entry)) await this.descriptor(entry, false);
  }

  /** @param isRoot whether nothing else can be meant, so that it must be there */
  async descriptor(entry: Descriptor, isRoot: boolean): Promise<void> {
    if (this.#seen.has(entry.digest)) return;
    this.#seen.add(entry.digest);
    try {
      if (!isRoot && this.#options.sparse && !(await isThere(this.#source, entry))) {
        this.absent.push(entry.platform ? formatPlatform(entry.platform) : entry.digest);
      } else if (isIndexType(entry.mediaType)) {
        await this.index(await readIndex(this.#source, entry));
      } else if (isManifestType(entry.mediaType)) {
        const manifest = await readManifest(this.#source, entry);
        this.manifests.push(await this.#manifest(entry, manifest));
      } else await this.#blob(entry, entry.mediaType);
    } catch (error) {
      this.problems.push((error as Error).message);
    }
  }

  #isWanted({ mediaType, platform }: Descriptor): boolean {
    const { platform: wanted } = this.#options;
    if (wanted === undefined || platform === undefined || isIndexType(mediaType)) return true;
    return platformDistance(wanted, platform) !== undefined;
  }

  async #manifest(entry: Descriptor, manifest: Manifest): Promise<VerifiedManifest> {
    const problems: string[] = [];
    const warnings: string[] = [];
    const attempt = async <T>(work: Promise<T>) =>
      work.catch((error: unknown) => {
        problems.push((error as Error).message);
        return undefined;
      });
    const isImage = isConfigType(manifest.config.mediaType);
    const config = isImage ? await attempt(readConfig(this.#source, manifest)) : undefined;
    if (!isImage) await attempt(this.#blob(manifest.config, 'configuration'));
    if (manifest.config.mediaType === EMPTY && manifest.artifactType === undefined)
      problems.push(
        `image manifest ${entry.digest}: its configuration is empty, so it must have an artifactType  [/artifactType]`,
      );
    if (config !== undefined) {
      problems.push(...disagreements(entry, manifest, config));
      warnings.push(...oddities(manifest, config));
    }
    const unpacking = new Unpacking(this.#source, manifest, config, {
      limit: this.#options.limit?.afresh(),
      count: (bytes) => this.#count(bytes),
      warn: (line) => warnings.push(line),
    });
    for (const index of manifest.layers.keys()) await attempt(unpacking.layer(index));
    return {
      digest: entry.digest,
      platform: config && formatPlatform(entry.platform ?? config),
      id: isImage ? manifest.config.digest : undefined,
      layers: manifest.layers.map(({ digest, mediaType, size }, i) => {
        const diffId = config?.rootfs.diff_ids[i];
        return { digest, mediaType, size, ...(diffId === undefined ? {} : { diffId }) };
      }),
      problems,
      warnings,
    };
  }

  async #blob(descriptor: Descriptor, what: string): Promise<void> {
    for await (const chunk of readBlob(this.#source, descriptor, what))
      this.#count(chunk.byteLength);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#options.onProgress?.(this.#bytes);
  }
}

interface Listener {
  readonly limit: SizeLimit | undefined;
  readonly count: (bytes: number) => void;
  readonly warn: (line: string) => void;
}

const IGNORING: TarVisitor = { entry() {}, content() {}, end() {} };

/** Applies the layers of one image one after the other, without making files of them. */
class Unpacking {
  readonly #source: BlobSource;
  readonly #manifest: Manifest;
  readonly #config: ImageConfig | undefined;
  readonly #listener: Listener;
  /** undefined once a layer was wrong: nobody knows what the others are applied to. */
  #tree: Tree | undefined = new Tree(undescribed({ layer: '', name: Buffer.from('/') }));

  constructor(
    source: BlobSource,
    manifest: Manifest,
    config: ImageConfig | undefined,
    listener: Listener,
  ) {
    this.#source = source;
    this.#manifest = manifest;
    this.#config = config;
    this.#listener = listener;
  }

  /** @throws Error in one line that names the layer, and the entry where there is one */
  async layer(index: number): Promise<void> {
    const { layers } = this.#manifest;
    const descriptor = layers[index] as Descriptor;
    const what = `layer ${index + 1} of ${layers.length}`;
    const diffId = this.#config?.rootfs.diff_ids[index];
    const open = () => readBlob(this.#source, descriptor, what);
    const { limit, count, warn } = this.#listener;
    if (descriptor.urls !== undefined && !(await isThere(this.#source, descriptor))) {
      this.#tree = undefined;
      warn(`${what} (${descriptor.digest}) is not here: it comes from ${descriptor.urls[0]}`);
      return;
    }
    // An attestation, or another artifact.
    if (diffId === undefined || !isLayerType(descriptor.mediaType)) {
      limit?.announced(descriptor.size);
      for await (const chunk of open()) count(chunk.byteLength);
      return;
    }
    const describe = `${what} (${descriptor.digest})`;
    const layer = {
      open,
      diffId,
      describe,
      mediaType: descriptor.mediaType,
      ...(limit && { limit }),
    };
    const visitor =
      this.#tree === undefined
        ? IGNORING
        : new LayerApplier(this.#tree, NOWHERE, index + 1, describe);
    try {
      await readLayer(layer, visitor, count, warn);
    } catch (error) {
      this.#tree = undefined;
      throw error;
    }
  }
}

async function isThere(source: BlobSource, descriptor: Descriptor): Promise<boolean> {
  const content = await source.open(descriptor);
  content?.release();
  return content !== undefined;
}

function isLayerType(mediaType: string): boolean {
  try {
    compressionOf(mediaType);
    return true;
  } catch {
    return false;
  }
}

/** Where the documents of one image contradict each other. */
function disagreements(
  { platform }: Descriptor,
  { layers, config: { digest } }: Manifest,
  config: ImageConfig,
): string[] {
  const { rootfs } = config;
  const found: string[] = [];
  const ofConfig = `image configuration ${digest}`;
  if (rootfs.type !== 'layers')
    found.push(`${ofConfig}: rootfs.type is ${JSON.stringify(rootfs.type)}, not "layers"`);
  if (rootfs.diff_ids.length !== layers.length)
    found.push(
      `the manifest has ${layers.length} layers, but ${ofConfig} has ${rootfs.diff_ids.length} diff_ids`,
    );
  if (
    platform !== undefined &&
    (platform.os !== config.os || platform.architecture !== config.architecture)
  )
    found.push(
      `the index says that it is for ${formatPlatform(platform)}, but ${ofConfig} says ${formatPlatform(config)}`,
    );
  return found;
}

/** What contradicts itself, but is only told to people. */
function oddities({ layers, config: { digest } }: Manifest, { history }: ImageConfig): string[] {
  const steps = (history ?? []).filter((step) => !step.empty_layer).length;
  if (!history || history.length === 0 || steps === layers.length) return [];
  return [
    `image configuration ${digest}: its history tells of ${steps} layers, but there are ${layers.length}`,
  ];
}
