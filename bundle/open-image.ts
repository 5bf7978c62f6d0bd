import { openLayoutImage } from './image/layout-source.ts';
import { absoluteReference } from './image/reference.ts';
import type { ImageSource } from './image/source.ts';
import type { BundleOrigin } from './record.ts';
import type { Store } from './store/store.ts';

/** An image that a bundle is to be made of. */
export interface OpenImage {
  readonly source: ImageSource;
  readonly origin: Pick<BundleOrigin, 'image' | 'layout'>;
}

/** What an image of a layout is called by. */
const LAYOUT = 'oci:';

/**
 * Opens an image. The caller closes the source.
 *
 * @param text `oci:LAYOUT[:TAG]`, or the name, digest or ID of an image of the store
 * @throws Error in one line
 */
export async function openImage(store: Store, text: string): Promise<OpenImage> {
  if (!text.startsWith(LAYOUT))
    return { source: await store.source(text), origin: { image: text } };
  const layout = text.slice(LAYOUT.length);
  return {
    source: await openLayoutImage(layout),
    origin: { layout: absoluteReference(layout) },
  };
}
