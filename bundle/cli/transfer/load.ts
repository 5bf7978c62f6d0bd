import { print } from '../../../runtime/linux/output.ts';
import { openStore } from '../../store/store.ts';
import { loadImages } from '../../transfer/load.ts';
import { openSeekable } from '../../transfer/seekable.ts';
import type { Input } from '../command.ts';
import { maxSize } from '../max-size.ts';
import { stoppable } from '../stop.ts';
import { platformsOf } from './options.ts';
import { type CopyReporter, copyReporter } from './reporter.ts';

/** Puts the images of an archive into the store. @returns the exit status */
export function run(input: Input): Promise<number> {
  const json = input.switch('json') ?? false;
  const reporter = copyReporter({ json, quiet: input.switch('quiet') ?? false });
  return stoppable((signal) => load(input, json, reporter, signal), { reporter });
}

async function load(
  input: Input,
  json: boolean,
  observer: CopyReporter,
  signal: AbortSignal,
): Promise<void> {
  const platforms = platformsOf(input);
  const archive = await openSeekable(input.text('input') ?? '-', signal, maxSize(input).limit);
  try {
    const store = openStore(input.text('store'));
    await loadImages(archive, store, { platforms, observer, signal }, ({ names, result }) => {
      const called = names.length === 0 ? [result.descriptor.digest] : names;
      observer.end(called.join(', '), result);
      if (!json) print(`${called.join('\n')}\n`);
    });
  } finally {
    archive.close();
  }
}
