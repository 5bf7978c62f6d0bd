import type { Descriptor, Index } from '../../schemas/image.ts';
import { isConfigType, isIndexType, isManifestType } from '../image/media-types.ts';
import { formatName, type ImageName, parseName } from '../image/name.ts';
import { listing } from '../image/reference.ts';
import { readIndex, readManifest } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import type { Reference } from './index-file.ts';

/** What a reference leads to. */
export interface Found {
  readonly descriptor: Descriptor;
  /** The entry of the index that it is, or is listed in. */
  readonly entry: Reference;
  /** Whether the reference is the entry's name, so that another name would not do. */
  readonly byName: boolean;
}

/** There is no image of a name: another place may have one. */
export class NoSuchImage extends Error {}

/** A short ID must have so many digits: fewer are rather a typing error. */
const FEWEST_DIGITS = 3;

/**
 * The name that an image gets by what somebody typed. Without a registry it is an image of this
 * machine alone, in `localhost/`: nothing that was made here takes the name of another's image.
 *
 * @throws Error for what is no name
 */
export function localName(text: string): string {
  return formatName(parseName(hasRegistry(text) ? text : `localhost/${text}`));
}

/**
 * Finds an image as people name it: by its whole name, by a name without registry or tag, by
 * name and digest, by a digest, or by the beginning of the ID or of a digest.
 *
 * @param text as it was typed
 * @param blobs the store's
 * @throws Error in one line, with the names of those that may be meant
 */
export async function find(
  text: string,
  references: readonly Reference[],
  blobs: BlobSource,
): Promise<Found> {
  const named = withName(text, references);
  const found = named.length > 0 ? named : await withDigest(text, references, blobs);
  const [first] = found;
  if (first === undefined) throw new NoSuchImage(missing(text, references, blobs.name));
  const others = found.filter(({ descriptor }) => descriptor.digest !== first.descriptor.digest);
  if (others.length === 0) return first;
  const candidates = found.map(({ entry, descriptor }) => entry.name ?? descriptor.digest);
  throw new Error(
    `${JSON.stringify(text)} is ambiguous in ${blobs.name}: it may be ${listing(candidates)}; name one of them`,
  );
}

/** The images whose names a text may be. */
function withName(text: string, references: readonly Reference[]): Found[] {
  const exact = references.filter(({ name }) => name === text);
  const wanted = exact.length > 0 ? [text] : wholeNames(text);
  return references
    .filter(({ name }) => name !== undefined && wanted.includes(name))
    .map((entry) => ({ descriptor: entry.descriptor, entry, byName: true }));
}

function wholeNames(text: string): string[] {
  const name = nameOf(text);
  if (name === undefined) return [];
  return hasRegistry(text) ? [formatName(name)] : [formatName(name), localName(text)];
}

/** The images that a digest names, or the beginning of one; perhaps with the name of one. */
async function withDigest(
  text: string,
  references: readonly Reference[],
  blobs: BlobSource,
): Promise<Found[]> {
  const name = text.includes('@') ? nameOf(text) : undefined;
  const beginning = name?.digest ?? text;
  const candidates = name === undefined ? references : references.filter(ofRepository(text, name));
  const [, algorithm = 'sha256', digits = ''] =
    /^(?:(sha256|sha512):)?([0-9a-f]+)$/.exec(beginning) ?? [];
  if (digits.length < FEWEST_DIGITS) return [];
  const found: Found[] = [];
  for (const entry of candidates)
    for await (const { digest, descriptor } of identities(blobs, entry.descriptor))
      if (digest.startsWith(`${algorithm}:${digits}`))
        found.push({ descriptor, entry, byName: false });
  return found;
}

function ofRepository(text: string, name: ImageName): (reference: Reference) => boolean {
  const names = hasRegistry(text) ? [name] : [name, parseName(`localhost/${text}`)];
  return (reference) => {
    const other = reference.name === undefined ? undefined : nameOf(reference.name);
    return names.some(
      ({ registry, repository }) => other?.registry === registry && other.repository === repository,
    );
  };
}

/**
 * The digests by which an image is known: of its index, its manifests, their configurations.
 *
 * @param seen indexes that were looked at: following them again could take for ever
 */
async function* identities(
  blobs: BlobSource,
  descriptor: Descriptor,
  seen = new Set<string>(),
): AsyncGenerator<{ digest: string; descriptor: Descriptor }, void, undefined> {
  yield { digest: descriptor.digest, descriptor };
  try {
    if (isIndexType(descriptor.mediaType)) {
      if (seen.has(descriptor.digest)) return;
      seen.add(descriptor.digest);
      const { manifests }: Index = await readIndex(blobs, descriptor);
      for (const child of manifests) yield* identities(blobs, child, seen);
    } else if (isManifestType(descriptor.mediaType)) {
      const { config } = await readManifest(blobs, descriptor);
      if (isConfigType(config.mediaType)) yield { digest: config.digest, descriptor };
    }
  } catch {
    // Not there, as the images of an index for other platforms; or damaged, which reading tells.
  }
}

function missing(text: string, references: readonly Reference[], store: string): string {
  const names = references.flatMap(({ name }) => name ?? []);
  const word = nameOf(text)?.repository.split('/').at(-1) ?? text;
  const similar = names.filter((name) => name.includes(word));
  const what = `no image ${JSON.stringify(text)} in ${store}`;
  if (references.length === 0) return `${what}: it is empty`;
  if (names.length === 0) return `${what}: none of its images has a name`;
  return `${what}; it has ${listing(similar.length > 0 ? similar : names)}`;
}

function nameOf(text: string): ImageName | undefined {
  try {
    return parseName(text);
  } catch {
    return undefined;
  }
}

/** Whether a name says its registry, which else is Docker Hub's, or none. */
function hasRegistry(text: string): boolean {
  const name = nameOf(text);
  return name !== undefined && (name.registry !== 'docker.io' || /^[^/]*docker\.io\//.test(text));
}
