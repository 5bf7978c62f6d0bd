import { lstatSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isBundle } from '../existing/record.ts';

/** One end of a copy: a path of this machine, a path in a bundle, or a tar archive that is streamed. */
export type Place =
  | { readonly kind: 'stream' }
  | { readonly kind: 'host'; readonly path: string; readonly text: string }
  | {
      readonly kind: 'bundle';
      readonly bundle: string;
      readonly path: string;
      readonly text: string;
    };

/**
 * Understands what a user names: `BUNDLE:PATH` where a bundle is in the directory before a colon,
 * `-` for a stream, else a path. A file of this machine whose name reads like the first is meant
 * only where there is no such bundle.
 *
 * @throws Error in one line for `BUNDLE:PATH` without such a bundle
 */
export function parsePlace(text: string): Place {
  if (text === '-') return { kind: 'stream' };
  if (text === '') throw new Error('want a path, BUNDLE:PATH, or - for a tar archive: it is empty');
  for (let at = text.indexOf(':'); at >= 0; at = text.indexOf(':', at + 1)) {
    const bundle = text.slice(0, at);
    if (bundle !== '' && isBundle(bundle))
      return { kind: 'bundle', bundle, path: text.slice(at + 1), text };
  }
  const colon = text.indexOf(':/');
  if (colon > 0 && !exists(text) && !exists(join(text, '..')))
    throw new Error(
      `${text}: there is no bundle ${resolve(text.slice(0, colon))}: it has no config.json`,
    );
  return { kind: 'host', path: text, text };
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
