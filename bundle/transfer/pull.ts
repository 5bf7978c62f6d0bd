import { formatName, parseName } from '../image/name.ts';
import { registrySource } from '../registry/source.ts';
import { openStore } from '../store/store.ts';
import { type CopyOptions, type CopyResult, copyImage } from './copy.ts';
import type { LocationOptions } from './locations.ts';

/** How an image is fetched. */
export type PullOptions = CopyOptions & LocationOptions;

/**
 * Fetches an image of a registry into the store. What an earlier attempt got before it was
 * interrupted is not fetched again.
 *
 * @param text its name as people type it
 * @returns also its whole name, which it has in the store
 * @throws Error in one line; the store has no new image then
 */
export async function pull(
  text: string,
  options: PullOptions,
): Promise<CopyResult & { readonly name: string }> {
  const parsed = parseName(text.replace(/^docker:\/\//, ''));
  const name = formatName(parsed);
  const source = await registrySource(parsed, options);
  try {
    const destination = await openStore(options.store).destination(name);
    try {
      return { ...(await copyImage(source, destination, options)), name };
    } finally {
      await destination.close();
    }
  } finally {
    source.close();
  }
}
