import { print } from '../../../runtime/linux/output.ts';
import { codeOf } from '../../../runtime/linux/reason.ts';
import { findImage } from '../../image/resolve.ts';
import { contentOf } from '../../look/content.ts';
import { openSource } from '../../transfer/locations.ts';
import type { Input } from '../command.ts';
import { statusOf } from '../stop.ts';
import { locationOptions, platformOf } from '../transfer/options.ts';
import { placeOf } from './place.ts';

/** Prints a file of an image. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const { image, path } = placeOf(input);
  const platform = platformOf(input);
  const source = await openSource(image, locationOptions(input));
  let left = false;
  const write = (bytes: Uint8Array) => {
    try {
      print(bytes);
    } catch (error) {
      left = codeOf((error as Error).cause) === 'EPIPE';
      throw error;
    }
  };
  try {
    await contentOf(source, await findImage(source, platform), path, write);
    return 0;
  } catch (error) {
    // A reader who has seen enough is no mistake; the status is that of others like it.
    if (left) return statusOf('SIGPIPE');
    throw error;
  } finally {
    source.close();
  }
}
