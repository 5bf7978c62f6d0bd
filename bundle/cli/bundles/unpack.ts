import { constants } from 'node:os';
import { resolve } from 'node:path';
import { unpack } from '../../unpack.ts';
import type { Input } from '../command.ts';
import { maxSize } from '../max-size.ts';
import { writeMessage } from '../output.ts';
import { reporterFor } from '../progress.ts';
import { stopOnSignals } from '../stop.ts';

/** Makes a bundle of an image. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const reporter = reporterFor({
    json: input.switch('json') ?? false,
    quiet: input.switch('quiet') ?? false,
  });
  const platform = input.text('platform');
  const bundle = input.text('bundle') ?? '';
  const stop = stopOnSignals();
  try {
    const plan = await unpack(
      {
        image: input.text('image') ?? '',
        bundle,
        ...(platform === undefined ? {} : { platform }),
        rootless: input.switch('rootless') ?? process.geteuid?.() !== 0,
        terminal: input.switch('terminal') ?? false,
        ...maxSize(input),
      },
      reporter,
      stop.signal,
    );
    reporter.end(resolve(bundle), plan);
    return 0;
  } catch (error) {
    reporter.failed((error as Error).message);
    if (stop.by === undefined) throw error;
    writeMessage(`stopped by ${stop.by}: nothing of ${bundle} was left`);
    return 128 + constants.signals[stop.by];
  } finally {
    stop.release();
  }
}
