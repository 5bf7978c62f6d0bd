import { statSync } from 'node:fs';
import type { Descriptor } from '../../schemas/image.ts';
import { isConfigType, isIndexType, isManifestType } from '../image/media-types.ts';
import { readConfig, readIndex, readManifest } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import { blobFile } from './files.ts';
import type { Reference } from './index-file.ts';

/** Why an image of the store can't be used. */
export interface ImageFault {
  /** The entry of the index, which is of no use any more; undefined where others of it are. */
  readonly entry: Reference | undefined;
  /** The image's name, or its digest. */
  readonly what: string;
  /** The manifest that lacks something, or is damaged itself. */
  readonly manifest: string;
  readonly message: string;
}

/** What of one descriptor is wrong. */
type Verdict = 'whole' | 'absent' | { readonly message: string };

/**
 * Looks at an entry of the index, and at all images that it leads to. Those of an index that the
 * store does not have are not missed: they are for other platforms.
 *
 * @param damaged digests of blobs whose content is another
 */
export async function faultsOf(
  store: string,
  source: BlobSource,
  entry: Reference,
  damaged: ReadonlySet<string>,
): Promise<ImageFault[]> {
  const what = entry.name ?? entry.descriptor.digest;
  const faults: ImageFault[] = [];
  // An index may list the same ones again and again: following them each time could take for ever.
  const known = new Map<string, Verdict>();
  const visit = async (descriptor: Descriptor): Promise<Verdict> => {
    const verdict = known.get(descriptor.digest) ?? (await look(descriptor));
    known.set(descriptor.digest, verdict);
    return verdict;
  };
  const look = async (descriptor: Descriptor): Promise<Verdict> => {
    const own = verdictOf(store, descriptor, damaged);
    if (own !== 'whole') return own;
    try {
      if (isManifestType(descriptor.mediaType)) return await ofManifest(descriptor);
      return isIndexType(descriptor.mediaType) ? await ofIndex(descriptor) : own;
    } catch (error) {
      return { message: (error as Error).message };
    }
  };
  const ofManifest = async (descriptor: Descriptor): Promise<Verdict> => {
    const manifest = await readManifest(source, descriptor);
    for (const [i, blob] of [manifest.config, ...manifest.layers].entries()) {
      const verdict = verdictOf(store, blob, damaged);
      // Content that may not be passed on is elsewhere.
      if (verdict === 'whole' || (verdict === 'absent' && blob.urls !== undefined)) continue;
      const name = i === 0 ? 'its configuration' : `layer ${i} of ${manifest.layers.length}`;
      const why = verdict === 'absent' ? 'is missing' : verdict.message;
      return { message: `${name} (${blob.digest}) ${why}` };
    }
    if (isConfigType(manifest.config.mediaType)) await readConfig(source, manifest);
    return 'whole';
  };
  const ofIndex = async (descriptor: Descriptor): Promise<Verdict> => {
    const { manifests } = await readIndex(source, descriptor);
    let usable = manifests.length === 0;
    for (const child of manifests) {
      const verdict = await visit(child);
      if (verdict === 'whole') usable = true;
      else if (verdict !== 'absent')
        faults.push({ entry: undefined, what, manifest: child.digest, message: verdict.message });
    }
    return usable ? 'whole' : { message: 'none of the images that it lists is there' };
  };
  const verdict = await visit(entry.descriptor);
  if (verdict === 'whole') return faults;
  const manifest = entry.descriptor.digest;
  const message = verdict === 'absent' ? `${manifest} is missing` : verdict.message;
  return [...faults, { entry, what, manifest, message }];
}

function verdictOf(
  store: string,
  { digest, size }: Descriptor,
  damaged: ReadonlySet<string>,
): Verdict {
  const found = statSync(blobFile(store, digest), { throwIfNoEntry: false })?.size;
  if (found === undefined) return 'absent';
  if (damaged.has(digest)) return { message: 'is damaged' };
  if (found === size) return 'whole';
  return { message: `is ${found} bytes long, but its descriptor says ${size}` };
}
