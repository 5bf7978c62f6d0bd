import { type CopyOptions, type CopyResult, copyImage } from '../../transfer/copy.ts';
import { type LocationOptions, openDestination, openSource } from '../../transfer/locations.ts';
import type { Input } from '../command.ts';
import { maxSize } from '../max-size.ts';
import { locationOptions, platformsOf } from './options.ts';
import { reportCopy } from './report.ts';

/** Copies an image from one place to another. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const platforms = platformsOf(input);
  const { limit } = maxSize(input);
  const format = formatOf(input);
  const [from, to] = [input.text('source') ?? '', input.text('destination') ?? ''];
  return reportCopy(input, 'there is no new image', (observer, signal) =>
    copyBetween(from, to, {
      ...locationOptions(input, signal),
      limit,
      platforms,
      format,
      referrers: input.switch('referrers') ?? false,
      observer,
      signal,
    }),
  );
}

/** Copies an image between places as people write them. */
export async function copyBetween(
  from: string,
  to: string,
  options: CopyOptions & LocationOptions,
): Promise<CopyResult & { readonly name: string }> {
  const source = await openSource(from, options);
  try {
    const destination = await openDestination(to, { ...options, source });
    try {
      return { ...(await copyImage(source, destination, options)), name: destination.name };
    } finally {
      await destination.close();
    }
  } finally {
    source.close();
  }
}

/** @throws Error in one line for another format than there is */
export function formatOf(input: Input): 'oci' | undefined {
  const format = input.text('format');
  if (format === undefined || format === 'oci') return format;
  throw new Error(`--format ${JSON.stringify(format)}: want oci, or nothing to keep what is there`);
}
