import type { BundleOrigin } from '../existing/record.ts';
import { absoluteReference } from '../image/reference.ts';
import type { ImageSource } from '../image/source.ts';
import { NoSuchImage } from '../store/lookup.ts';
import type { Store } from '../store/store.ts';
import {
  type FileLocation,
  openFile,
  parseLocation,
  withLayoutHint,
} from '../transfer/locations.ts';

/** An image that a bundle is to be made of. */
export interface OpenImage {
  readonly source: ImageSource;
  readonly origin: Pick<BundleOrigin, 'image' | 'layout'>;
}

/**
 * Opens an image. The caller closes the source.
 *
 * @param text `oci:LAYOUT[:TAG]` or the like, or the name, digest or ID of an image of the store
 * @param fetch puts an image into the store that it does not have, and returns its whole name
 * @throws Error in one line
 */
export async function openImage(
  store: Store,
  text: string,
  fetch?: (text: string) => Promise<string>,
): Promise<OpenImage> {
  const location = parseLocation(text);
  if (location.kind === 'name') {
    const name = await nameIn(store, text, fetch);
    return { source: await store.source(name), origin: { image: name } };
  }
  if (location.kind === 'registry') {
    if (fetch === undefined)
      throw new Error(
        `${text} is in a registry: scow-bundle pull it first, and name it without "docker://"`,
      );
    const name = await fetch(text);
    return { source: await store.source(name), origin: { image: name } };
  }
  return openImageFile(location);
}

/** Opens an image that is in a file or a directory. The caller closes the source. */
export async function openImageFile(location: FileLocation): Promise<OpenImage> {
  const { kind, reference } = location;
  const path = absoluteReference(reference);
  return {
    source: await openFile(location),
    origin: { layout: kind === 'docker-archive' ? `${kind}:${path}` : path },
  };
}

/** The name by which the store has an image, once it has it. */
async function nameIn(
  store: Store,
  text: string,
  fetch: ((text: string) => Promise<string>) | undefined,
): Promise<string> {
  try {
    await store.find(text);
    return text;
  } catch (error) {
    if (!(error instanceof NoSuchImage)) throw error;
    if (fetch === undefined || text.startsWith('localhost/')) throw withLayoutHint(text, error);
    try {
      return await fetch(text);
    } catch (failure) {
      const why = `${error.message}; and ${(failure as Error).message}`;
      throw withLayoutHint(text, new Error(why, { cause: failure }));
    }
  }
}
