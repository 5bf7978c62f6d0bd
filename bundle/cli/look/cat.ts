import { print } from '../../../runtime/linux/output.ts';
import { codeOf } from '../../../runtime/linux/reason.ts';
import { contentOf } from '../../look/content.ts';
import type { Input } from '../command.ts';
import { statusOf } from '../stop.ts';
import { placeOf } from './place.ts';
import { withImage } from './with-image.ts';

/** Prints a file of an image. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const { image, path } = placeOf(input);
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
    await withImage(input, image, (source, found) => contentOf(source, found, path, write));
    return 0;
  } catch (error) {
    // A reader who has seen enough is no mistake; the status is that of others like it.
    if (left) return statusOf('SIGPIPE');
    throw error;
  }
}
