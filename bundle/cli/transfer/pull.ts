import { pull } from '../../transfer/pull.ts';
import type { Input } from '../command.ts';
import { maxSize } from '../max-size.ts';
import { locationOptions, platformsOf } from './options.ts';
import { reportCopy } from './report.ts';

/** Fetches an image into the store. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const platforms = platformsOf(input);
  const { limit } = maxSize(input);
  return reportCopy(input, 'the next pull goes on from here', (observer, signal) =>
    pull(input.text('image') ?? '', {
      ...locationOptions(input, signal),
      limit,
      platforms,
      observer,
      signal,
    }),
  );
}
