import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { reason } from '../../runtime/linux/reason.ts';
import type { Descriptor, Digest, ImageConfig, Index, Manifest } from '../../schemas/image.ts';
import {
  formatViolations,
  parseJson,
  validateImageConfig,
  validateIndex,
  withoutNulls,
} from '../../schemas/validate-image.ts';
import { archiveStorage } from '../image/archive.ts';
import { sha256 } from '../image/digest.ts';
import { documentOf } from '../image/document.ts';
import { layoutBlobs } from '../image/layout-source.ts';
import { isIndexType, isManifestType, OCI } from '../image/media-types.ts';
import { memoryContent } from '../image/memory.ts';
import { formatName, parseName } from '../image/name.ts';
import { readNamed } from '../image/read-blob.ts';
import { listing } from '../image/reference.ts';
import { readIndex, readManifest } from '../image/resolve.ts';
import type { BlobSource, ImageSource } from '../image/source.ts';
import { openContent, type Storage } from '../image/storage.ts';

const LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** What begins a compressed layer, and how its media type ends. */
const COMPRESSIONS = { '1f8b': '+gzip', '28b52ffd': '+zstd' } as const;

/** An archive of `docker save` or `podman save`. The caller closes it. */
export interface DockerArchive {
  readonly images: readonly DockerImage[];
  /**
   * One of them, by its name; without a name the only one.
   *
   * @throws Error in one line that says which names there are
   */
  choose(name: string | undefined): Promise<ImageSource>;
  close(): void;
}

/** An image of such an archive. */
export interface DockerImage {
  /** What it is called, such as `alpine:3.20`; perhaps nothing. */
  readonly names: readonly string[];
  /** Its manifest, which is made here where the archive has none. `close` does nothing. */
  source(): Promise<ImageSource>;
}

/** An entry of `manifest.json`. */
interface Entry {
  readonly Config: string;
  readonly RepoTags?: readonly string[] | null;
  /** Files, from the base upwards. */
  readonly Layers: readonly string[];
}

/**
 * Opens an archive, which may be one of an OCI image layout at the same time.
 *
 * @param path a tar archive, not compressed
 * @throws Error in one line when it is something else
 */
export async function openDockerArchive(path: string): Promise<DockerArchive> {
  const storage = open(path);
  try {
    const images = (await readEntries(storage)).map((entry) => ({
      names: entry.RepoTags ?? [],
      source: async () => (await ofLayout(storage, entry)) ?? (await synthesized(storage, entry)),
    }));
    return {
      images,
      choose: (name) => choose(images, name, path).source(),
      close: () => storage.close(),
    };
  } catch (error) {
    storage.close();
    throw error;
  }
}

function choose(
  images: readonly DockerImage[],
  wanted: string | undefined,
  path: string,
): DockerImage {
  const [only, ...others] = images;
  if (only === undefined) throw new Error(`${path} holds no image`);
  if (wanted === undefined && others.length === 0) return only;
  const whole = wanted === undefined ? undefined : formatName(parseName(wanted));
  const found = images.find(({ names }) =>
    names.some((name) => formatName(parseName(name)) === whole),
  );
  if (found !== undefined) return found;
  const known = images.flatMap(({ names }) => names);
  const which = known.length === 0 ? 'its images have no names' : `it has ${listing(known)}`;
  throw new Error(
    wanted === undefined
      ? `${path} holds ${images.length} images: name one of them: ${which}`
      : `${path} has no image ${JSON.stringify(wanted)}; ${which}`,
  );
}

function open(path: string): Storage {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw new Error(`cannot open the archive ${path}: ${reason(error)}`, { cause: error });
  }
  try {
    return archiveStorage(path, fd);
  } catch (error) {
    closeSync(fd);
    throw new Error(
      `${path} cannot be read as a docker-archive: ${reason(error)}; if it is compressed, decompress it first`,
      { cause: error },
    );
  }
}

async function readEntries(storage: Storage): Promise<readonly Entry[]> {
  const file = `${storage.path}: manifest.json`;
  const bytes = await readNamed(storage, 'manifest.json');
  if (bytes === undefined)
    throw new Error(`${storage.path} is no docker-archive: it has no manifest.json`);
  let entries: unknown;
  try {
    entries = JSON.parse(bytes.toString());
  } catch (error) {
    throw new Error(`${file}: not JSON: ${reason(error)}`, { cause: error });
  }
  if (!Array.isArray(entries) || !entries.every(isEntry))
    throw new Error(`${file}: want a list of objects with Config, RepoTags and Layers`);
  return entries;
}

function isEntry(value: Partial<Entry> | null): value is Entry {
  const texts = (list: unknown) =>
    Array.isArray(list) && list.every((text) => typeof text === 'string');
  return typeof value?.Config === 'string' && texts(value.Layers) && texts(value.RepoTags ?? []);
}

/** The image as the layout in the same archive has it: with the digests that it always had. */
async function ofLayout(storage: Storage, entry: Entry): Promise<ImageSource | undefined> {
  const bytes = await readNamed(storage, 'index.json');
  if (bytes === undefined) return undefined;
  const file = `${storage.path}: index.json`;
  const index = parseJson(bytes.toString(), file);
  const violations = validateIndex(index);
  if (violations.length > 0) throw new Error(formatViolations(file, violations));
  const blobs: BlobSource = { ...layoutBlobs(storage), close() {} };
  const root = await withConfig(blobs, index as unknown as Index, entry.Config);
  return root && { ...blobs, root };
}

/** @param seen indexes that were looked at: following them again could take for ever */
async function withConfig(
  blobs: BlobSource,
  { manifests }: Index,
  config: string,
  seen = new Set<string>(),
): Promise<Descriptor | undefined> {
  for (const child of manifests) {
    // Of an index not all platforms need be in the archive.
    const content = await blobs.open(child);
    content?.release();
    if (content === undefined) continue;
    if (isManifestType(child.mediaType)) {
      const { config: found } = await readManifest(blobs, child);
      if (config === `blobs/${found.digest.replace(':', '/')}`) return child;
    } else if (isIndexType(child.mediaType) && !seen.has(child.digest)) {
      seen.add(child.digest);
      const found = await withConfig(blobs, await readIndex(blobs, child), config, seen);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** A manifest for what has none: the layers' digests are known, for they are not compressed. */
async function synthesized(storage: Storage, { Config, Layers }: Entry): Promise<ImageSource> {
  const { path } = storage;
  const bytes = await readNamed(storage, Config);
  if (bytes === undefined) throw new Error(`${path} is incomplete: ${Config} is missing`);
  const file = `${path}: ${Config}`;
  const config = withoutNulls(parseJson(bytes.toString(), file)) as ImageConfig;
  const violations = validateImageConfig(config);
  if (violations.length > 0) throw new Error(formatViolations(file, violations));
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== Layers.length)
    throw new Error(`${file}: it has ${diffIds.length} diff_ids for ${Layers.length} layers`);
  const layers: Descriptor[] = [];
  for (const [i, name] of Layers.entries())
    layers.push(await describeLayer(storage, name, diffIds[i] as Digest));
  const digest = sha256(bytes);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: OCI.manifest,
    config: { mediaType: OCI.config, digest, size: bytes.byteLength },
    layers,
  };
  const document = documentOf(manifest, OCI.manifest);
  const files = new Map(layers.map((layer, i) => [layer.digest, Layers[i] as string]));
  files.set(digest, Config);
  return {
    name: path,
    root: document.descriptor,
    async open(descriptor) {
      if (descriptor.digest === document.descriptor.digest) return memoryContent(document.bytes);
      const found = files.get(descriptor.digest);
      return found === undefined ? undefined : openContent(storage, found);
    },
    close() {},
  };
}

async function describeLayer(storage: Storage, name: string, diffId: Digest): Promise<Descriptor> {
  const content = openContent(storage, name);
  if (content === undefined)
    throw new Error(`${storage.path} is incomplete: the layer ${name} is missing`);
  const hash = createHash('sha256');
  let ending: string | undefined;
  try {
    for await (const chunk of content.read()) {
      ending ??= endingFor(chunk);
      if (ending === '') break;
      hash.update(chunk);
    }
  } finally {
    content.release();
  }
  return {
    mediaType: `${LAYER}${ending ?? ''}`,
    digest: ending ? `sha256:${hash.digest('hex')}` : diffId,
    size: content.size as number,
  };
}

function endingFor(start: Uint8Array): string {
  const magic = Buffer.from(start.subarray(0, 4)).toString('hex');
  return Object.entries(COMPRESSIONS).find(([known]) => magic.startsWith(known))?.[1] ?? '';
}
