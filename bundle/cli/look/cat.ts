import { print } from '../../../runtime/linux/output.ts';
import { findImage } from '../../image/resolve.ts';
import { contentOf } from '../../look/content.ts';
import { openSource } from '../../transfer/locations.ts';
import type { Input } from '../command.ts';
import { locationOptions, platformOf } from '../transfer/options.ts';
import { placeOf } from './place.ts';

/** Prints a file of an image. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const { image, path } = placeOf(input);
  const platform = platformOf(input);
  const source = await openSource(image, locationOptions(input));
  try {
    await contentOf(source, await findImage(source, platform), path, print);
    return 0;
  } finally {
    source.close();
  }
}
