import { createBundle } from '../../make/create.ts';
import { openImage } from '../../make/open-image.ts';
import { openStore } from '../../store/store.ts';
import type { Input } from '../command.ts';
import { showMaking } from './making.ts';

/** Makes a bundle of an image of the store. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const store = openStore(input.text('store'));
  return showMaking(input, async (common, reporter, signal) => {
    const { source, origin } = await openImage(store, input.text('image') ?? '');
    try {
      const options = {
        ...common,
        origin,
        readOnly: input.switch('read-only') ?? false,
        copy: input.switch('copy') ?? false,
      };
      return await createBundle(store, source, options, reporter, signal);
    } finally {
      source.close();
    }
  });
}
