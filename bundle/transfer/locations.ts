import { openLayoutImage } from '../image/layout-source.ts';
import { type ImageName, parseName } from '../image/name.ts';
import { parseImageReference } from '../image/reference.ts';
import type { ImageDestination, ImageSource } from '../image/source.ts';
import type { RegistryOptions } from '../registry/client.ts';
import { NoSuchImage } from '../store/lookup.ts';
import { openStore } from '../store/store.ts';
import { dockerArchiveDestination, ociArchiveDestination } from './archive-destination.ts';
import { layoutDestination } from './layout-destination.ts';

/** Where an image is, or is to go, as people write it. */
export type Location =
  | { readonly kind: 'oci' | 'oci-archive' | 'docker-archive'; readonly reference: string }
  | { readonly kind: 'registry'; readonly name: ImageName }
  /** A name in the store, or of a registry; `remote` where it says its registry. */
  | { readonly kind: 'name'; readonly text: string; readonly remote: ImageName | undefined };

export interface LocationOptions extends RegistryOptions {
  /** The value of `--store`. */
  readonly store?: string | undefined;
}

const FILES = ['oci', 'oci-archive', 'docker-archive'] as const;

/**
 * Reads `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`, `docker://NAME`, or a
 * name.
 *
 * @throws Error in one line for anything else
 */
export function parseLocation(text: string): Location {
  for (const kind of FILES) {
    if (!text.startsWith(`${kind}:`)) continue;
    const reference = text.slice(kind.length + 1);
    if (reference === '') throw new Error(`${text}: a path is missing after the colon`);
    return { kind, reference };
  }
  if (text.startsWith('docker://'))
    return { kind: 'registry', name: parseName(text.slice('docker://'.length)) };
  const [, transport] = /^([a-z][a-z-]*):(?:\/|\.)/.exec(text) ?? [];
  if (transport !== undefined)
    throw new Error(
      `${JSON.stringify(text)}: ${transport}: is no kind of place; there is oci:DIR:TAG, oci-archive:FILE:TAG, docker-archive:FILE, docker://NAME, and names in the store`,
    );
  return { kind: 'name', text, remote: remoteName(text) };
}

/**
 * Opens the image at a place. A plain name is looked up in the store first, then in the
 * registry that it means.
 *
 * @throws Error in one line when there is no such image
 */
export async function openSource(text: string, options: LocationOptions): Promise<ImageSource> {
  const location = parseLocation(text);
  switch (location.kind) {
    case 'oci':
    case 'oci-archive':
      return openLayoutImage(location.reference);
    case 'docker-archive':
      return openFromDockerArchive(location.reference);
    case 'registry':
      return openFromRegistry(location.name, options);
    case 'name':
      return openByName(location.text, options);
  }
}

/**
 * Opens the place where an image goes. A plain name with a registry is one there, any other one
 * in the store.
 *
 * @param options.source where the image comes from: of the same registry it need not be sent
 * @throws Error in one line when nothing can be written there
 */
export async function openDestination(
  text: string,
  options: LocationOptions & { readonly source?: ImageSource },
): Promise<ImageDestination> {
  const location = parseLocation(text);
  switch (location.kind) {
    case 'oci':
    case 'oci-archive': {
      const { layout, tag = 'latest' } = parseImageReference(location.reference);
      return location.kind === 'oci'
        ? layoutDestination(layout, tag)
        : ociArchiveDestination(layout, tag);
    }
    case 'docker-archive': {
      const { layout, tag } = parseImageReference(location.reference);
      return dockerArchiveDestination(layout, tag === undefined ? undefined : parseName(tag));
    }
    case 'registry':
      return openAtRegistry(location.name, options);
    case 'name':
      return location.remote === undefined
        ? openStore(options.store).destination(location.text)
        : openAtRegistry(location.remote, options);
  }
}

async function openFromRegistry(name: ImageName, options: RegistryOptions): Promise<ImageSource> {
  const { registrySource } = await import('../registry/source.ts');
  return registrySource(name, options);
}

async function openAtRegistry(
  name: ImageName,
  options: LocationOptions & { readonly source?: ImageSource },
): Promise<ImageDestination> {
  const { registryDestination } = await import('../registry/destination.ts');
  const { mountCandidates } = await import('./mount-candidates.ts');
  const mountFrom = mountCandidates(name, options.source, openStore(options.store));
  return registryDestination(name, { ...options, mountFrom });
}

async function openByName(text: string, options: LocationOptions): Promise<ImageSource> {
  try {
    return await openStore(options.store).source(text);
  } catch (error) {
    if (!(error instanceof NoSuchImage) || text.startsWith('localhost/')) throw error;
    return openElsewhere(text, error, options);
  }
}

/** The image of a registry that a name means which the store does not know. */
async function openElsewhere(
  text: string,
  missing: NoSuchImage,
  options: LocationOptions,
): Promise<ImageSource> {
  let name: ImageName;
  try {
    name = parseName(text);
  } catch {
    throw missing;
  }
  try {
    return await openFromRegistry(name, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new Error(`${missing.message}; and ${(error as Error).message}`, { cause: error });
  }
}

async function openFromDockerArchive(reference: string): Promise<ImageSource> {
  const { openDockerArchive } = await import('./docker-archive.ts');
  const { layout: path, tag: name } = parseImageReference(reference);
  const archive = await openDockerArchive(path);
  try {
    const source = await archive.choose(name);
    return { ...source, close: () => archive.close() };
  } catch (error) {
    archive.close();
    throw error;
  }
}

/** What a name with a registry means; undefined for one without, and for this machine's own. */
function remoteName(text: string): ImageName | undefined {
  const slash = text.indexOf('/');
  const first = text.slice(0, Math.max(slash, 0));
  if (!/[.:]/.test(first) && !first.startsWith('[')) return undefined;
  return parseName(text);
}
