import { print } from '../../../runtime/linux/output.ts';
import { openStore } from '../../store/store.ts';
import { loadImages } from '../../transfer/load.ts';
import { openSeekable } from '../../transfer/seekable.ts';
import type { Input } from '../command.ts';
import { stoppable } from '../stop.ts';
import { platformsOf } from './options.ts';

/** Puts the images of an archive into the store. @returns the exit status */
export function run(input: Input): Promise<number> {
  const quiet = input.switch('quiet') ?? false;
  return stoppable(async (signal) => {
    const platforms = platformsOf(input);
    const archive = await openSeekable(input.text('input') ?? '-', signal);
    try {
      const store = openStore(input.text('store'));
      await loadImages(archive, store, { platforms, signal }, ({ names, digest }) => {
        if (!quiet) print(`${names.length === 0 ? digest : names.join('\n')}\n`);
      });
    } finally {
      archive.close();
    }
  });
}
