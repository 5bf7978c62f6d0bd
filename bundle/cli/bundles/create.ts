import { constants } from 'node:os';
import { resolve } from 'node:path';
import { createBundle } from '../../create.ts';
import { openImage } from '../../open-image.ts';
import { openStore } from '../../store/store.ts';
import type { Input } from '../command.ts';
import { maxSize } from '../max-size.ts';
import { writeMessage } from '../output.ts';
import { reporterFor } from '../progress.ts';
import { stopOnSignals } from '../stop.ts';

/** Makes a bundle of an image of the store. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const reporter = reporterFor({
    json: input.switch('json') ?? false,
    quiet: input.switch('quiet') ?? false,
  });
  const platform = input.text('platform');
  const bundle = input.text('bundle') ?? '';
  const store = openStore(input.text('store'));
  const stop = stopOnSignals();
  try {
    const { source, origin } = await openImage(store, input.text('image') ?? '');
    try {
      const options = {
        origin,
        bundle,
        ...(platform === undefined ? {} : { platform }),
        rootless: input.switch('rootless') ?? process.geteuid?.() !== 0,
        terminal: input.switch('terminal') ?? false,
        readOnly: input.switch('read-only') ?? false,
        copy: input.switch('copy') ?? false,
        ...maxSize(input),
      };
      const plan = await createBundle(store, source, options, reporter, stop.signal);
      reporter.end(resolve(bundle), plan);
      return 0;
    } finally {
      source.close();
    }
  } catch (error) {
    reporter.failed((error as Error).message);
    if (stop.by === undefined) throw error;
    writeMessage(`stopped by ${stop.by}: nothing of ${bundle} was left`);
    return 128 + constants.signals[stop.by];
  } finally {
    stop.release();
  }
}
