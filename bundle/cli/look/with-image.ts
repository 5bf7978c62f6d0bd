import { findImage, type Image } from '../../image/resolve.ts';
import type { ImageSource } from '../../image/source.ts';
import { openSource } from '../../transfer/locations.ts';
import type { Input } from '../command.ts';
import { locationOptions, platformOf } from '../transfer/options.ts';

/**
 * Opens an image, does something with it, and closes it.
 *
 * @param text as `openSource` takes it; the flags say for which platform
 */
export async function withImage<T>(
  input: Input,
  text: string,
  work: (source: ImageSource, image: Image) => T | Promise<T>,
): Promise<T> {
  const platform = platformOf(input);
  const source = await openSource(text, locationOptions(input));
  try {
    return await work(source, await findImage(source, platform));
  } finally {
    source.close();
  }
}
