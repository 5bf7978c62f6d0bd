import { print } from '../../../runtime/linux/output.ts';
import { openInput } from '../../files/input-file.ts';
import { parsePlatform } from '../../image/platform.ts';
import { openNewImage } from '../../new-image/destination.ts';
import { importArchive } from '../../new-image/import.ts';
import type { Input } from '../command.ts';
import { makeOptions } from '../make-options.ts';
import { maxSize } from '../max-size.ts';
import { counterFor } from '../progress.ts';
import { stoppable } from '../stop.ts';

/** Makes an image of a tar archive. @returns the exit status */
export function run(input: Input): Promise<number> {
  const counter = counterFor('layer', false);
  const work = async (signal: AbortSignal) => {
    const options = { ...makeOptions(input, signal, counter), ...maxSize(input) };
    const platform = input.text('platform');
    const chosen = platform === undefined ? undefined : parsePlatform(platform);
    const archive = openInput(input.text('file') ?? '', signal);
    try {
      const destination = await openNewImage(input.text('image') ?? '', input.text('store'));
      try {
        const { config } = await importArchive(archive, destination, chosen, options);
        counter.clear();
        print(`${config}\n`);
      } finally {
        await destination.close();
      }
    } finally {
      archive.close();
    }
  };
  return stoppable(work, { reporter: { failed: counter.clear } });
}
