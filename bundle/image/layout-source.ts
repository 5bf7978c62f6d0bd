import type { Descriptor } from '../../schemas/image.ts';
import { parseDigest } from './digest.ts';
import { openLayout } from './layout.ts';
import { findTagged, parseImageReference } from './reference.ts';
import type { BlobSource, Content, ImageSource } from './source.ts';
import { readExtent, release, type Storage } from './storage.ts';

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
    return { ...layoutBlobs(storage), root: findTagged(index, parsed) };
  } catch (error) {
    storage.close();
    throw error;
  }
}

function openBlob(storage: Storage, { digest }: Descriptor): Content | undefined {
  const { algorithm, encoded } = parseDigest(digest);
  const extent = storage.open(`blobs/${algorithm}/${encoded}`);
  return (
    extent && {
      size: extent.size,
      read: (from) => readExtent(extent, from),
      release: () => release(extent),
    }
  );
}
