import type { Input } from '../command.ts';

/** A place in an image. */
export interface ImagePlace {
  /** The image, as `openSource` takes it. */
  readonly image: string;
  /** From the image's root. */
  readonly path: string;
}

/** What else may stand before `:/`. */
const KINDS = ['docker', 'oci', 'oci-archive', 'docker-archive'];

/** Reads `IMAGE:/PATH`, or IMAGE and PATH as two words. The root where there is no path. */
export function placeOf(input: Input): ImagePlace {
  const text = input.text('image') ?? '';
  const path = input.text('path');
  if (path !== undefined) return { image: text, path };
  const at = text.lastIndexOf(':/');
  const image = text.slice(0, Math.max(at, 0));
  if (at <= 0 || KINDS.includes(image)) return { image: text, path: '/' };
  return { image, path: text.slice(at + 1) };
}
