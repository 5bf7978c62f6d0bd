import type { BlobSource } from '../image/source.ts';
import { type Reference, readReferences, withoutIdle, writeReferences } from './index-file.ts';
import { type FoundLease, findLeases } from './leases.ts';
import { withLock } from './lock.ts';
import { type Found, find } from './lookup.ts';
import { nothing, type Reach, reach, reachLeased } from './reach.ts';
import type { Store } from './store.ts';
import { type Content, contentOf, sweep, type Waste, wasteOf } from './sweep.ts';
import { tidyAll } from './tidy.ts';

/** What a removal takes away, or would take. */
export interface Removal {
  /** Names that are gone, in order. */
  readonly untagged: readonly string[];
  /** Digests of the images that are gone with all that only they needed. */
  readonly deleted: readonly string[];
  readonly waste: Waste;
}

/** What the store looks like to somebody who wants to remove something. */
interface Situation {
  readonly store: string;
  readonly source: BlobSource;
  readonly references: readonly Reference[];
  readonly leases: readonly FoundLease[];
}

/**
 * Takes names away from images. An image that loses its last one is removed, with the blobs and
 * unpacked layers that no other image and no lease needs. Either all of it is done, or nothing.
 *
 * @param texts names, or digests and IDs: those mean all names of an image
 * @param options.force also take the last name of an image that is in use, which stays without
 *   one; and all names of an image that was named by its ID
 * @param options.dryRun only say what would be done
 * @throws Error in one line for what is not there, or is in use
 */
export async function removeImages(
  store: Store,
  texts: readonly string[],
  options: { readonly force: boolean; readonly dryRun: boolean },
): Promise<Removal> {
  if (!options.dryRun) await store.adopt();
  return change(store, options.dryRun, async (situation) => {
    const found: Found[] = [];
    for (const text of texts) {
      const one = await find(text, situation.references, situation.source);
      if (!one.byName && !options.force) refuseSeveral(text, one, situation.references);
      found.push(one);
    }
    const gone = situation.references.filter((entry) =>
      found.some((one) => (one.byName ? entry === one.entry : sameImage(entry, one.entry))),
    );
    const left = situation.references.filter((entry) => !gone.includes(entry));
    const last = gone.filter((entry) => !left.some((other) => sameImage(entry, other)));
    const kept: Reference[] = [];
    for (const entry of last) {
      const user = await userOf(entry, situation);
      if (user === undefined) continue;
      if (!options.force || entry.name === undefined)
        throw new Error(
          `${entry.name ?? entry.descriptor.digest} is used by ${user}: ${
            entry.name === undefined
              ? 'it can go when that is gone'
              : 'remove that first, or take only the name away with --force'
          }`,
        );
      kept.push({ ...entry, name: undefined });
    }
    const content = nothing();
    for (const entry of last) await reachIfWhole(situation, entry, content);
    return { gone, left: withoutIdle([...left, ...kept]), content };
  });
}

/**
 * Removes what nobody needs: images without a name, and content of no image, also half of a blob, as
 * interrupted pulls leave it. What a running process or a bundle uses is needed.
 *
 * @param options.all also images with names that no bundle uses
 * @param options.dryRun only say what would be done
 */
export async function prune(
  store: Store,
  options: { readonly all: boolean; readonly dryRun: boolean },
): Promise<Removal> {
  if (!options.dryRun) await store.adopt();
  const leftovers = store.exists() ? await tidyAll(store.path, options.dryRun) : 0;
  const removal = await change(store, options.dryRun, async (situation) => {
    const gone: Reference[] = [];
    for (const entry of situation.references)
      if (
        (options.all || entry.name === undefined) &&
        (await userOf(entry, situation)) === undefined
      )
        gone.push(entry);
    const left = situation.references.filter((entry) => !gone.includes(entry));
    return { gone, left, content: contentOf(situation.store) };
  });
  const { waste } = removal;
  return { ...removal, waste: { ...waste, bytes: waste.bytes + leftovers } };
}

/** What is to be done: entries that go, all that are left, and the content that may go. */
interface Decision {
  readonly gone: readonly Reference[];
  readonly left: readonly Reference[];
  readonly content: Content;
}

async function change(
  store: Store,
  dryRun: boolean,
  decide: (situation: Situation) => Promise<Decision>,
): Promise<Removal> {
  const source = store.blobs();
  const work = async () => {
    const references = readReferences(store.path);
    const leases = findLeases(store.path).filter(({ alive }) => alive);
    const situation = { store: store.path, source, references, leases };
    const { gone, left, content } = await decide(situation);
    const waste = wasteOf(store.path, content, await needs(situation, left));
    const removal = { ...describe(gone, left), waste };
    if (dryRun) return { removal, finish: () => undefined };
    // The list goes first: who is killed in between leaves content that nobody needs, no more.
    if (gone.length > 0) writeReferences(store.path, left);
    return { removal, finish: sweep(store.path, waste) };
  };
  try {
    const { removal, finish } = store.exists()
      ? await withLock(store.path, 'exclusive', work)
      : await work();
    finish();
    return removal;
  } finally {
    source.close();
  }
}

function describe(
  gone: readonly Reference[],
  left: readonly Reference[],
): Pick<Removal, 'untagged' | 'deleted'> {
  const deleted = gone.filter((entry) => !left.some((other) => sameImage(entry, other)));
  return {
    untagged: gone.flatMap(({ name }) => name ?? []),
    deleted: [...new Set(deleted.map(({ descriptor }) => descriptor.digest))],
  };
}

/** What images and leases need. @throws Error when that can't be known, as one is damaged */
async function needs(
  { store, source, leases }: Situation,
  references: readonly Reference[],
): Promise<Reach> {
  const into = nothing();
  for (const { name, descriptor } of references)
    try {
      await reach(store, source, descriptor, into);
    } catch (error) {
      throw new Error(
        `nothing is removed, since ${name ?? descriptor.digest} is damaged (scow-bundle store check --repair): ${(error as Error).message}`,
        { cause: error },
      );
    }
  for (const digest of leases.flatMap(({ digests }) => digests))
    await reachLeased(store, source, digest, into);
  return into;
}

/** Adds what an image that goes needs; of a damaged one only what is known. */
async function reachIfWhole(
  { store, source }: Situation,
  { descriptor }: Reference,
  into: Reach,
): Promise<void> {
  try {
    await reach(store, source, descriptor, into);
  } catch {
    // Nobody knows what belonged to it: prune takes that.
  }
}

/** Who uses an image: a bundle, or a program that runs. */
async function userOf(entry: Reference, situation: Situation): Promise<string | undefined> {
  const image = nothing();
  await reachIfWhole(situation, entry, image);
  const lease = situation.leases.find(({ digests }) =>
    digests.some((digest) => image.documents.has(digest)),
  );
  if (lease === undefined) return undefined;
  return lease.bundle === undefined
    ? 'another command that runs now'
    : `the bundle ${lease.bundle}`;
}

/** @throws Error where an ID is meant to take several names away */
function refuseSeveral(text: string, { entry }: Found, references: readonly Reference[]): void {
  const names = references.flatMap((other) => (sameImage(entry, other) ? (other.name ?? []) : []));
  if (names.length > 1)
    throw new Error(
      `${text} has ${names.length} names (${names.join(', ')}): remove them by name, or all with --force`,
    );
}

function sameImage(one: Reference, other: Reference): boolean {
  return one.descriptor.digest === other.descriptor.digest;
}
