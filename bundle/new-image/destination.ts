import type { ImageDestination } from '../image/source.ts';
import { openStore } from '../store/store.ts';
import { openDestination, parseLocation } from '../transfer/locations.ts';

/**
 * Opens the place of an image that is made here: a name means the store, with a registry in it
 * or without, unlike for a copy, which may go to the registry at once.
 *
 * @param text a name, or a place as `parseLocation` reads it
 * @param store the value of `--store`
 * @throws Error in one line when nothing can be written there
 */
export async function openNewImage(
  text: string,
  store: string | undefined,
): Promise<ImageDestination> {
  const location = parseLocation(text);
  return location.kind === 'name'
    ? openStore(store).destination(location.text)
    : openDestination(text, { store });
}
