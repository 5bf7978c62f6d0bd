import { parseLocation } from '../../transfer/locations.ts';
import type { Input } from '../command.ts';
import { copyBetween, formatOf } from './copy.ts';
import { locationOptions, platformsOf } from './options.ts';
import { reportCopy } from './report.ts';

/** Sends an image of the store to a registry. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const platforms = platformsOf(input) ?? 'all';
  const format = formatOf(input);
  const image = input.text('image') ?? '';
  const to = destinationOf(input.text('destination') ?? image);
  return reportCopy(input, 'the registry has no new image', (observer, signal) =>
    copyBetween(image, to, {
      ...locationOptions(input, signal),
      platforms,
      format,
      observer,
      signal,
    }),
  );
}

/** @throws Error in one line for a name that says no registry: nothing is sent there by mistake */
function destinationOf(text: string): string {
  const location = parseLocation(text);
  if (location.kind === 'registry') return text;
  if (location.kind === 'name' && location.remote !== undefined) return text;
  throw new Error(
    location.kind === 'name'
      ? `${JSON.stringify(text)} does not say which registry to push to: push it as HOST/${text}, such as docker.io/USER/${text}`
      : `${JSON.stringify(text)} is no registry: scow-bundle copy copies there`,
  );
}
