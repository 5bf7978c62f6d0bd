import { SizeLimit } from '../layers/size-limit.ts';
import type { Flag, Input } from './command.ts';

/** How much may be unpacked. */
export const MAX_SIZE: Flag = {
  name: 'max-size',
  value: 'SIZE',
  about: 'refuse what comes to more when it is unpacked: bytes, or 512M, 2G; no limit by default',
};

/** The same of commands that unpack nothing. */
export const MAX_BLOBS: Flag = {
  ...MAX_SIZE,
  about:
    'refuse an image whose blobs come to more, as they are: bytes, or 512M, 2G; no limit by default',
};

/** Reads the flag. @throws Error in one line when it makes no sense */
export function maxSize(input: Input): { readonly limit?: SizeLimit } {
  const text = input.text(MAX_SIZE.name);
  return text === undefined ? {} : { limit: new SizeLimit(text) };
}
