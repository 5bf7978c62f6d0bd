import type { Descriptor, Index, Manifest } from '../../schemas/image.ts';
import { parseDigest } from './digest.ts';
import { openLayout } from './layout.ts';
import { isIndexType, isManifestType } from './media-types.ts';
import { readDocument } from './read-blob.ts';
import { findTagged, parseImageReference } from './reference.ts';
import type { BlobSource, Content, ImageSource } from './source.ts';
import { openContent, type Storage } from './storage.ts';

/** The blobs of a layout. `close` closes the storage. */
export function layoutBlobs(storage: Storage): BlobSource {
  return {
    name: storage.path,
    open: async (descriptor) => openBlob(storage, descriptor),
    close: () => storage.close(),
  };
}

/**
 * Opens an image of a layout.
 *
 * @param reference `LAYOUT[:TAG]`, see `parseImageReference`
 * @throws Error in one line for what is no layout, and for a tag that it does not have
 */
export async function openLayoutImage(reference: string): Promise<ImageSource> {
  const parsed = parseImageReference(reference);
  const { storage, index } = await openLayout(parsed.layout);
  try {
    const blobs = layoutBlobs(storage);
    const referrers = (digest: string) => referrersIn(index, blobs, digest);
    return { ...blobs, root: findTagged(index, parsed), referrers };
  } catch (error) {
    storage.close();
    throw error;
  }
}

/** The entries of a layout's index that refer to a manifest. */
async function referrersIn(
  index: Index,
  blobs: BlobSource,
  digest: string,
): Promise<readonly Descriptor[]> {
  const found: Descriptor[] = [];
  for (const { annotations: _, ...entry } of index.manifests) {
    if (!isManifestType(entry.mediaType) && !isIndexType(entry.mediaType)) continue;
    const content = await blobs.open(entry);
    content?.release();
    // A layout need not have all that it lists.
    if (content === undefined) continue;
    const bytes = await readDocument(blobs, entry, 'image manifest');
    const { subject } = JSON.parse(bytes.toString()) as Partial<Manifest>;
    if (subject?.digest === digest) found.push(entry);
  }
  return found;
}

function openBlob(storage: Storage, { digest }: Descriptor): Content | undefined {
  const { algorithm, encoded } = parseDigest(digest);
  return openContent(storage, `blobs/${algorithm}/${encoded}`);
}
