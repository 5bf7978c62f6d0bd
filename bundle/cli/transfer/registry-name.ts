import { parseName } from '../../image/name.ts';

/**
 * The registry that a word means: `ghcr.io`, `localhost:5000`; also with `https://` before it, as
 * Docker's users write it.
 *
 * @throws Error in one line for anything else
 */
export function registryOf(text: string): string {
  const host = text.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '');
  try {
    const { registry } = parseName(`${host}/x`);
    // A word without a dot or a port is the beginning of a path on Docker Hub.
    if (registry === host || /(?:^|\.)docker\.io$/.test(host)) return registry;
  } catch {
    // Said below.
  }
  throw new Error(`${JSON.stringify(text)} is no registry: want HOST or HOST:PORT`);
}
