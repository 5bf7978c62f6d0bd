import { unpack } from '../../make/unpack.ts';
import type { Input } from '../command.ts';
import { showMaking } from './making.ts';

/** Makes a bundle of an image. @returns the exit status */
export function run(input: Input): Promise<number> {
  return showMaking(input, (options, reporter, signal) =>
    unpack({ ...options, image: input.text('image') ?? '' }, reporter, signal),
  );
}
