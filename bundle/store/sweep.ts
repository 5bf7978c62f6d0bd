import { lstatSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { discard, makeTemporary } from '../files/temporary.ts';
import { parseDigest } from '../image/digest.ts';
import { blobFile, chainIdOf, STORE } from './files.ts';
import type { Reach } from './reach.ts';

/** Content of a store that can go. */
export interface Waste {
  /** Digests. */
  readonly blobs: readonly string[];
  /** Chain IDs of unpacked layers. */
  readonly layers: readonly string[];
  /** What they take of the disk, in bytes. */
  readonly bytes: number;
}

/** Bytes of a block as stat(2) counts them, whatever the file system's own are. */
const BLOCK = 512;

/** Digests of blobs and chain IDs of unpacked layers. */
export type Content = Pick<Reach, 'blobs' | 'chains'>;

/** What is in a store. */
export function contentOf(store: string): Content {
  const blobs = join(store, STORE.blobs);
  const digests = names(blobs).flatMap((algorithm) =>
    names(join(blobs, algorithm)).map((name) => `${algorithm}:${name}`),
  );
  const chains = names(join(store, STORE.layers)).map(chainIdOf);
  return {
    blobs: new Set(digests.filter(isDigest)),
    chains: new Set(chains.filter(isDigest)),
  };
}

/** What else may lie there is not ours. */
function isDigest(text: string): boolean {
  try {
    parseDigest(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * What of some content nobody needs.
 *
 * @param needed by images that stay, and by leases
 */
export function wasteOf(store: string, content: Content, needed: Content): Waste {
  const present = contentOf(store);
  const idle = (which: 'blobs' | 'chains') =>
    [...content[which]].filter((one) => present[which].has(one) && !needed[which].has(one)).sort();
  const blobs = idle('blobs');
  const layers = idle('chains');
  return {
    blobs,
    layers,
    bytes: diskUsage([
      ...blobs.map((digest) => blobFile(store, digest)),
      ...layers.flatMap((chain) => unpackedOf(store, chain)),
    ]),
  };
}

/**
 * Removes it. The caller holds the store's lock, exclusive.
 *
 * @returns what is to be done after the lock was given back: large trees take their time
 */
export function sweep(store: string, { blobs, layers }: Waste): () => void {
  for (const digest of blobs) rmSync(blobFile(store, digest), { force: true });
  if (layers.length === 0) return () => undefined;
  const grave = makeTemporary(join(store, STORE.temporary), 'removed-');
  for (const path of layers.flatMap((chain) => unpackedOf(store, chain)))
    renameSync(path, join(grave.parent, grave.name, basename(path)));
  return () => discard(grave);
}

/** The directories that have a layer unpacked, with whatever privileges. */
export function unpackedOf(store: string, chain: string): string[] {
  const directory = join(store, STORE.layers);
  return names(directory)
    .filter((name) => chainIdOf(name) === chain)
    .map((name) => join(directory, name));
}

/** Bytes that are free when these are gone: a file that has links elsewhere stays. */
export function diskUsage(paths: readonly string[]): number {
  const inodes = new Map<string, { links: number; bytes: number }>();
  const waiting = [...paths];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const status = lstatSync(path);
    const key = `${status.dev}:${status.ino}`;
    const links = inodes.get(key)?.links ?? (status.isDirectory() ? 1 : status.nlink);
    inodes.set(key, { links: links - 1, bytes: status.blocks * BLOCK });
    if (status.isDirectory()) for (const name of readdirSync(path)) waiting.push(join(path, name));
  }
  return [...inodes.values()].reduce((sum, { links, bytes }) => sum + (links === 0 ? bytes : 0), 0);
}

function names(directory: string): string[] {
  return statSync(directory, { throwIfNoEntry: false })?.isDirectory()
    ? readdirSync(directory)
    : [];
}
