import type { Descriptor, Index } from '../../schemas/image.ts';

import { REF_NAME } from '../image/reference.ts';

/** A layout's index with one more image; another image that had its tag is listed no more. */
export function withImage(index: Index, root: Descriptor, tag: string): Index {
  const others = index.manifests.filter(({ annotations }) => annotations?.[REF_NAME] !== tag);
  return { ...index, manifests: [...others, entryOf(root, { [REF_NAME]: tag })] };
}

/** A layout's index with manifests that have no tag, each once. */
export function withReferrers(index: Index, referrers: readonly Descriptor[]): Index {
  const known = new Set(index.manifests.map(({ digest }) => digest));
  const added = referrers
    .filter(({ digest }) => !known.has(digest))
    .map(({ mediaType, digest, size, artifactType }) => ({
      ...{ mediaType, digest, size },
      ...(artifactType === undefined ? {} : { artifactType }),
    }));
  return { ...index, manifests: [...index.manifests, ...added] };
}

/** What other places said of it, such as its name there, stays behind. */
export function entryOf(
  { mediaType, digest, size, platform, artifactType }: Descriptor,
  annotations: Readonly<Record<string, string>>,
): Descriptor {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(platform === undefined ? {} : { platform }),
    annotations,
  };
}
