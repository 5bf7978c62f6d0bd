import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openLayoutImage } from '../image/layout-source.ts';
import { type ImageName, parseName } from '../image/name.ts';
import { checkTag, parseImageReference } from '../image/reference.ts';
import type { ImageDestination, ImageSource } from '../image/source.ts';
import type { RegistryOptions } from '../registry/client.ts';
import { NoSuchImage } from '../store/lookup.ts';
import { openStore } from '../store/store.ts';
import { dockerArchiveDestination, ociArchiveDestination } from './archive-destination.ts';
import { layoutDestination } from './layout-destination.ts';

const FILES = ['oci', 'oci-archive', 'docker-archive'] as const;

/** `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or `docker-archive:FILE[:NAME]`. */
export interface FileLocation {
  readonly kind: (typeof FILES)[number];
  readonly reference: string;
}

/** Where an image is, or is to go, as people write it. */
export type Location =
  | FileLocation
  | { readonly kind: 'registry'; readonly name: ImageName }
  /** A name in the store, or of a registry; `remote` where it says its registry. */
  | { readonly kind: 'name'; readonly text: string; readonly remote: ImageName | undefined };

/** How places are opened. */
export interface LocationOptions extends RegistryOptions {
  /** The value of `--store`. */
  readonly store?: string | undefined;
}

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
 * Reads what `unpack --image` takes: the place of a file, or a layout without `oci:` before it. A
 * layout in a folder that is called `oci` is meant where there is nothing else.
 *
 * @throws Error in one line, as `parseLocation` does, and for an image that is in no file
 */
export function parseFileLocation(text: string): FileLocation {
  const plain: FileLocation = { kind: 'oci', reference: text };
  if (!/^(?:oci|oci-archive|docker-archive|docker):/.test(text)) return plain;
  const location = parseLocation(text);
  if (location.kind === 'registry')
    throw new Error(
      `${text} is in a registry: scow-bundle copy ${text} oci:LAYOUT:TAG brings it; or pull it, and create a bundle`,
    );
  if (location.kind === 'name') return plain;
  const exists = (one: FileLocation) => existsSync(parseImageReference(one.reference).layout);
  return exists(plain) && !exists(location) ? plain : location;
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
    case 'registry':
      return openFromRegistry(location.name, options);
    case 'name':
      return openByName(location.text, options);
    default:
      return openFile(location);
  }
}

/** Opens the image in a file or a directory. @throws Error in one line */
export function openFile({ kind, reference }: FileLocation): Promise<ImageSource> {
  return kind === 'docker-archive' ? openFromDockerArchive(reference) : openLayoutImage(reference);
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
      checkTag(tag);
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
    if (!(error instanceof NoSuchImage)) throw error;
    if (text.startsWith('localhost/')) throw withLayoutHint(text, error);
    return openElsewhere(text, error, options);
  }
}

/** The error for a name that leads nowhere, with another meaning that it may have. */
export function withLayoutHint(text: string, error: Error): Error {
  const { layout } = parseImageReference(text);
  const stat = statSync(layout, { throwIfNoEntry: false });
  const kind = stat?.isFile() ? 'oci-archive' : 'oci';
  if (!stat?.isFile() && !existsSync(join(layout, 'oci-layout'))) return error;
  return new Error(`${error.message}; if ${layout} here is meant, write ${kind}:${text}`, {
    cause: error,
  });
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
    throw withLayoutHint(text, missing);
  }
  try {
    return await openFromRegistry(name, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw withLayoutHint(
      text,
      new Error(`${missing.message}; and ${(error as Error).message}`, { cause: error }),
    );
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
