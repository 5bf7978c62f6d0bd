import { type ImageName, nameOf } from '../image/name.ts';
import type { ImageSource } from '../image/source.ts';
import type { RegistrySource } from '../registry/source.ts';
import type { Store } from '../store/store.ts';
import { takeInventory } from './inventory.ts';

/**
 * Where a registry may have a blob already that is on its way there: in the repository that the
 * image comes from, or in one that an image of the store is named after.
 *
 * @param name where the image goes
 * @param source where it comes from
 * @returns finds a repository for a digest
 */
export function mountCandidates(
  name: ImageName,
  source: ImageSource | undefined,
  store: Store,
): (digest: string) => Promise<string | undefined> {
  const { endpoint } = (source ?? {}) as Partial<RegistrySource>;
  if (endpoint?.registry === name.registry && endpoint.repository !== name.repository)
    return async () => endpoint.repository;
  let known: Promise<ReadonlyMap<string, string>> | undefined;
  return async (digest) => {
    known ??= repositoriesOf(name, store);
    return (await known).get(digest);
  };
}

/** By digest the repositories of a registry, as the names of the store's images tell them. */
async function repositoriesOf(
  { registry, repository }: ImageName,
  store: Store,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const blobs = store.blobs();
  try {
    for (const { name, descriptor } of store.references()) {
      const other = nameOf(name);
      if (other?.registry !== registry || other.repository === repository) continue;
      // An image that is damaged tells nothing, and is not what is sent.
      const inventory = await takeInventory(blobs, descriptor, false, false).catch(() => undefined);
      for (const { to } of inventory?.blobs ?? []) found.set(to.digest, other.repository);
    }
  } finally {
    blobs.close();
  }
  return found;
}
