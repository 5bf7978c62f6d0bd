import type { Descriptor, Index } from '../../schemas/image.ts';
import { validateIndex } from '../../schemas/validate-image.ts';
import { OCI } from '../image/media-types.ts';
import type { RegistryClient } from './client.ts';
import { hasStatus } from './error.ts';
import { fetchManifest, putManifest } from './manifests.ts';
import { pages } from './tags.ts';

/**
 * What refers to an image: signatures, lists of its software, proofs of its origin
 * (distribution-spec, Listing Referrers). Registries that do not know have a tag for it.
 *
 * @param digest the image's
 * @throws RegistryError in one line
 */
export async function listReferrers(client: RegistryClient, digest: string): Promise<Descriptor[]> {
  const found: Descriptor[] = [];
  try {
    for await (const page of pages(client, client.path(`referrers/${digest}`)))
      if (validateIndex(page).length === 0) found.push(...(page as Index).manifests);
    return found;
  } catch (error) {
    if (!hasStatus(error, 404, 405)) throw error;
    return [...(await taggedReferrers(client, digest)).manifests];
  }
}

/**
 * Adds an entry to the tag that lists referrers, for a registry that keeps no account itself
 * (distribution-spec, Pushing Manifests with Subject).
 *
 * @param subject the digest of what it refers to
 */
export async function addReferrer(
  client: RegistryClient,
  subject: string,
  entry: Descriptor,
): Promise<void> {
  const index = await taggedReferrers(client, subject);
  if (index.manifests.some(({ digest }) => digest === entry.digest)) return;
  const bytes = Buffer.from(JSON.stringify({ ...index, manifests: [...index.manifests, entry] }));
  await putManifest(client, fallbackTag(subject), { mediaType: OCI.index, bytes });
}

async function taggedReferrers(client: RegistryClient, digest: string): Promise<Index> {
  const empty: Index = { schemaVersion: 2, mediaType: OCI.index, manifests: [] };
  const found = await fetchManifest(client, fallbackTag(digest), { accept: OCI.index }).catch(
    (error) => {
      if (hasStatus(error, 404)) return undefined;
      throw error;
    },
  );
  if (found === undefined) return empty;
  const index: unknown = JSON.parse(found.bytes.toString());
  return validateIndex(index).length === 0 ? (index as Index) : empty;
}

/** distribution-spec, Referrers Tag Schema. */
function fallbackTag(digest: string): string {
  const [algorithm = '', encoded = ''] = digest.split(':');
  return `${algorithm.slice(0, 32)}-${encoded.slice(0, 64)}`;
}
