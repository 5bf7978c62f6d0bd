import { print } from '../../../runtime/linux/output.ts';
import { whilePaused } from '../../existing/pause.ts';
import { commitBundle } from '../../new-image/commit.ts';
import { openNewImage } from '../../new-image/destination.ts';
import type { Input } from '../command.ts';
import { makeOptions } from '../make-options.ts';
import { counterFor } from '../progress.ts';
import { stoppable } from '../stop.ts';

/** Makes an image of what changed in a bundle. @returns the exit status */
export function run(input: Input): Promise<number> {
  const counter = counterFor('layer', input.switch('quiet') ?? false);
  const work = async (signal: AbortSignal) => {
    const options = makeOptions(input, signal, counter);
    const bundle = input.text('bundle') ?? '';
    const destination = await openNewImage(input.text('image') ?? '', input.text('store'));
    try {
      const commit = () => commitBundle(bundle, destination, options);
      const { config } = await (input.switch('pause')
        ? whilePaused(bundle, input.text('root'), commit)
        : commit());
      counter.clear();
      if (!input.switch('quiet')) print(`${config}\n`);
    } finally {
      await destination.close();
    }
  };
  return stoppable(work, { reporter: { failed: counter.clear } });
}
