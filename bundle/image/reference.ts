import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Descriptor, Index } from '../../schemas/image.ts';

/** The annotation of an index's entry that names it (image-spec, annotations.md). */
export const REF_NAME = 'org.opencontainers.image.ref.name';

/** What `--image` names: a layout, and an entry of its index. */
export interface ImageReference {
  /** The layout: a directory, or a tar archive. */
  readonly layout: string;
  readonly tag?: string;
}

/**
 * Reads `LAYOUT[:TAG]`. Both halves may contain colons (`repository:tag` is a tag that skopeo
 * writes), so the layout ends at the first colon before which something exists.
 *
 * @throws Error for an empty layout or tag
 */
export function parseImageReference(text: string): ImageReference {
  const colons = [...text.matchAll(/:/g)].map(({ index }) => index);
  const end =
    colons.find((at) => existsSync(text.slice(0, at))) ??
    (existsSync(text) ? undefined : colons[0]);
  if (end === undefined) {
    if (text === '') throw new Error('--image is empty: want LAYOUT or LAYOUT:TAG');
    return { layout: text };
  }
  const layout = text.slice(0, end);
  const tag = text.slice(end + 1);
  if (layout === '' || tag === '')
    throw new Error(`--image ${JSON.stringify(text)}: want LAYOUT or LAYOUT:TAG`);
  return { layout, tag };
}

/** `LAYOUT[:TAG]` with an absolute path: what it means wherever it is read. */
export function absoluteReference(text: string): string {
  const { layout, tag } = parseImageReference(text);
  return tag === undefined ? resolve(layout) : `${resolve(layout)}:${tag}`;
}

/** image-spec, annotations.md: org.opencontainers.image.ref.name. */
const TAG =
  /^[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*(?:\/[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*)*$/;

/** Refuses to write a tag that the specification does not allow. @throws Error in one line */
export function checkTag(tag: string): void {
  if (TAG.test(tag)) return;
  throw new Error(
    `the tag ${JSON.stringify(tag)} is none that an image layout can have: want letters and digits, with one of -._:@+/ or -- between them`,
  );
}

/** The tags of a layout, in the order of its index. */
export function tagsOf(index: Index): string[] {
  return index.manifests.flatMap(({ annotations }) => annotations?.[REF_NAME] ?? []);
}

/**
 * Finds the entry that a tag names. Without a tag that is `latest`, as for umoci; or the only
 * entry, which is what skopeo writes and reads without a tag.
 *
 * @returns the entry, or the index itself where none of several entries has a tag: they're
 *   the image's platforms then
 * @throws Error naming the tags that exist
 */
export function findTagged(index: Index, { layout, tag }: ImageReference): Descriptor | Index {
  const named = index.manifests.filter(
    ({ annotations }) => annotations?.[REF_NAME] === (tag ?? 'latest'),
  );
  const [found] = named;
  if (found !== undefined) {
    if (named.some(({ digest }) => digest !== found.digest))
      throw new Error(
        `${layout}: the tag ${tag ?? 'latest'} is ambiguous: ${named.length} entries of index.json have it (${named.map(({ digest }) => digest).join(', ')})`,
      );
    return found;
  }
  const [only] = index.manifests;
  if (only === undefined) throw new Error(`${layout} holds no image: its index.json is empty`);
  const tags = tagsOf(index);
  if (tag === undefined && index.manifests.length === 1) return only;
  if (tag === undefined && tags.length === 0) return index;
  throw new Error(
    `${layout} has no tag ${JSON.stringify(tag ?? 'latest')}; ${
      tags.length === 0 ? 'none of its images has a tag' : `it has ${listing(tags)}`
    }`,
  );
}

/** Enough names to recognise the right one, not a page of them. */
export function listing(names: readonly string[]): string {
  const shown = [...new Set(names)].sort();
  const rest = shown.length - 20;
  return `${shown.slice(0, 20).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
