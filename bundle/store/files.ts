import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseDigest } from '../image/digest.ts';
import type { Privileges } from '../layers/privileges.ts';
import { isOrdinaryUser } from '../rootless/caller.ts';

/** The file in a bundle's directory that says what image it was made of. */
export const RECORD = 'scow.json';

/**
 * The names of what is in a store. `oci-layout`, `index.json` and `blobs` are the layout's; `run` has
 * its bundles in `runs` while they last, and in `bundles` when they are kept; `state` is scow's, where
 * the user has no better place.
 */
export const STORE = {
  marker: 'oci-layout',
  index: 'index.json',
  blobs: 'blobs',
  layers: 'layers',
  leases: 'leases',
  temporary: 'tmp',
  runs: 'runs',
  bundles: 'bundles',
  state: 'state',
  lock: 'lock',
  reserve: 'reserve',
} as const;

/**
 * Where images are kept.
 *
 * @param chosen what the user said, if anything
 * @returns an absolute path: of root's the machine's, of others their own (XDG Base Directory)
 */
export function storePath(chosen: string | undefined): string {
  if (chosen === '') throw new Error('--store is empty: want a directory');
  if (chosen !== undefined) return resolve(chosen);
  if (!isOrdinaryUser()) return '/var/lib/scow';
  const data = process.env.XDG_DATA_HOME;
  // A relative path there is to be ignored, the specification says.
  return join(data?.startsWith('/') ? data : join(homedir(), '.local/share'), 'scow');
}

/** Where a blob is kept. @throws Error for what is no digest */
export function blobFile(store: string, digest: string): string {
  const { algorithm, encoded } = parseDigest(digest);
  return join(store, STORE.blobs, algorithm, encoded);
}

/** Bytes of a blob; undefined where it is missing. */
export function blobSize(store: string, digest: string): number | undefined {
  return statSync(blobFile(store, digest), { throwIfNoEntry: false })?.size;
}

/**
 * Where the layer with this chain ID is unpacked: `diff` in there has it in the form that overlay
 * mounts read. What was made without root's privileges has other owners, and is kept apart.
 */
export function layerDirectory(store: string, chainId: string, privileges: Privileges): string {
  const ending = privileges === 'full' ? '' : `.${privileges}`;
  return join(store, STORE.layers, `${chainId.replace(':', '-')}${ending}`);
}

/** The chain ID that a directory of unpacked layers is named by. */
export function chainIdOf(name: string): string {
  return name.replace(/\..*$/, '').replace('-', ':');
}
