import type { Annotations } from '../../schemas/image.ts';
import { openLayout, openStorage } from '../image/layout.ts';
import { layoutBlobs } from '../image/layout-source.ts';
import { isIndexType, isManifestType } from '../image/media-types.ts';
import { formatName, parseName } from '../image/name.ts';
import { REF_NAME } from '../image/reference.ts';
import { readIndex } from '../image/resolve.ts';
import type { BlobSource, ImageSource } from '../image/source.ts';
import { localName } from '../store/lookup.ts';
import type { Store } from '../store/store.ts';
import { type CopyOptions, type CopyResult, copyImage } from './copy.ts';
import { type DockerArchive, openDockerArchive } from './docker-archive.ts';
import { CONTAINERD_NAME } from './image-archive.ts';
import type { SeekableArchive } from './seekable.ts';

/** An image of an archive. */
interface Loadable {
  /** What it gets as names in the store; perhaps none. */
  readonly names: readonly string[];
  readonly source: ImageSource;
}

/** An image that was put into the store. */
export interface LoadedImage {
  readonly result: CopyResult;
  /** Its whole names. */
  readonly names: readonly string[];
}

/**
 * Puts all images of an archive into the store: of `docker save`, `podman save`, or of an OCI image
 * layout, also in a directory. Of an index whose images are not all there, the one for this machine
 * is taken.
 *
 * @param loaded hears of each image when it is complete
 * @throws Error in one line; images that were complete before stay
 */
export async function loadImages(
  { path, name }: SeekableArchive,
  store: Store,
  options: CopyOptions,
  loaded: (image: LoadedImage) => void,
): Promise<void> {
  try {
    const archive = await openArchive(path);
    try {
      if (archive.images.length === 0) throw new Error(`${path} holds no image`);
      for (const image of archive.images) loaded(await load(image, store, options));
    } finally {
      archive.close();
    }
  } catch (cause) {
    // A temporary file's name means nothing to people.
    throw new Error((cause as Error).message.replaceAll(path, name), { cause });
  }
}

async function load(
  { names, source }: Loadable,
  store: Store,
  options: CopyOptions,
): Promise<LoadedImage> {
  const platforms = options.platforms ?? ((await isComplete(source)) ? 'all' : undefined);
  const [first, ...others] = names;
  const result = await copyAs(first, source, store, { ...options, platforms });
  for (const name of others) await copyAs(name, source, store, { platforms });
  return { result, names: names.map(localName) };
}

async function copyAs(
  name: string | undefined,
  source: ImageSource,
  store: Store,
  options: CopyOptions,
): Promise<CopyResult> {
  const destination = await store.destination(name);
  try {
    return await copyImage(source, destination, options);
  } finally {
    await destination.close();
  }
}

interface OpenArchive {
  readonly images: readonly Loadable[];
  close(): void;
}

async function openArchive(path: string): Promise<OpenArchive> {
  const storage = openStorage(path);
  const names = storage.topLevel();
  storage.close();
  const older = names.includes('manifest.json') ? await openDockerArchive(path) : undefined;
  if (older !== undefined && !names.includes('oci-layout')) return openOlder(older);
  try {
    return await openOci(path, older);
  } finally {
    older?.close();
  }
}

async function openOlder(archive: DockerArchive): Promise<OpenArchive> {
  const images: Loadable[] = [];
  for (const image of archive.images)
    images.push({ names: image.names.map(wholeName), source: await image.source() });
  return { images, close: () => archive.close() };
}

/** @param older the same archive in its other format, which may know names */
async function openOci(path: string, older: DockerArchive | undefined): Promise<OpenArchive> {
  const known = new Map<string, readonly string[]>();
  for (const { names, source } of older?.images ?? []) {
    const { root } = await source();
    if ('digest' in root) known.set(root.digest, names.map(wholeName));
  }
  const { storage, index } = await openLayout(path);
  const blobs: BlobSource = { ...layoutBlobs(storage), close() {} };
  const images = index.manifests
    .filter(({ mediaType }) => isManifestType(mediaType) || isIndexType(mediaType))
    .map((root) => {
      const own = layoutName(root.annotations);
      return {
        names: own === undefined ? (known.get(root.digest) ?? []) : [own],
        source: { ...blobs, root },
      };
    });
  return { images, close: () => storage.close() };
}

/** What a layout calls an image: by its name, or by a tag, which is a name of this machine then. */
function layoutName(annotations: Annotations | undefined): string | undefined {
  const name = annotations?.[CONTAINERD_NAME] ?? annotations?.[REF_NAME];
  return name === undefined || !/[:/]/.test(name) ? name : wholeName(name);
}

/** Names in archives are whole ones but for what is understood by itself. */
function wholeName(name: string): string {
  return formatName(parseName(name));
}

/**
 * Whether all images of an index are there.
 *
 * @param seen indexes that were looked at: following them again could take for ever
 */
async function isComplete(source: ImageSource, seen = new Set<string>()): Promise<boolean> {
  const { root } = source;
  if ('manifests' in root || !isIndexType(root.mediaType) || seen.has(root.digest)) return true;
  seen.add(root.digest);
  const { manifests } = await readIndex(source, root);
  for (const child of manifests) {
    const content = await source.open(child);
    content?.release();
    if (content === undefined || !(await isComplete({ ...source, root: child }, seen)))
      return false;
  }
  return true;
}
