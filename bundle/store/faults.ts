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
  const manifest = entry.descriptor.digest;
  const what = entry.name ?? manifest;
  const inspection = new Inspection(store, source, damaged);
  const verdict = await inspection.of(entry.descriptor);
  const faults = inspection.faults.map((fault) => ({ entry: undefined, what, ...fault }));
  if (verdict === 'whole') return faults;
  const message = verdict === 'absent' ? `${manifest} is missing` : verdict.message;
  return [...faults, { entry, what, manifest, message }];
}

class Inspection {
  /** What is wrong with images below an index of which others can be used. */
  readonly faults: Pick<ImageFault, 'manifest' | 'message'>[] = [];
  readonly #store: string;
  readonly #source: BlobSource;
  readonly #damaged: ReadonlySet<string>;
  // An index may list the same ones again and again: following them each time could take for ever.
  readonly #known = new Map<string, Verdict>();

  constructor(store: string, source: BlobSource, damaged: ReadonlySet<string>) {
    this.#store = store;
    this.#source = source;
    this.#damaged = damaged;
  }

  async of(descriptor: Descriptor): Promise<Verdict> {
    const verdict = this.#known.get(descriptor.digest) ?? (await this.#look(descriptor));
    this.#known.set(descriptor.digest, verdict);
    return verdict;
  }

  async #look(descriptor: Descriptor): Promise<Verdict> {
    const own = verdictOf(this.#store, descriptor, this.#damaged);
    if (own !== 'whole') return own;
    try {
      if (isManifestType(descriptor.mediaType)) return await this.#ofManifest(descriptor);
      return isIndexType(descriptor.mediaType) ? await this.#ofIndex(descriptor) : own;
    } catch (error) {
      return { message: (error as Error).message };
    }
  }

  async #ofManifest(descriptor: Descriptor): Promise<Verdict> {
    const manifest = await readManifest(this.#source, descriptor);
    for (const [i, blob] of [manifest.config, ...manifest.layers].entries()) {
      const verdict = verdictOf(this.#store, blob, this.#damaged);
      // Content that may not be passed on is elsewhere.
      if (verdict === 'whole' || (verdict === 'absent' && blob.urls !== undefined)) continue;
      const name = i === 0 ? 'its configuration' : `layer ${i} of ${manifest.layers.length}`;
      const why = verdict === 'absent' ? 'is missing' : verdict.message;
      return { message: `${name} (${blob.digest}) ${why}` };
    }
    if (isConfigType(manifest.config.mediaType)) await readConfig(this.#source, manifest);
    return 'whole';
  }

  async #ofIndex(descriptor: Descriptor): Promise<Verdict> {
    const { manifests } = await readIndex(this.#source, descriptor);
    let usable = manifests.length === 0;
    for (const child of manifests) {
      const verdict = await this.of(child);
      if (verdict === 'whole') usable = true;
      else if (verdict !== 'absent')
        this.faults.push({ manifest: child.digest, message: verdict.message });
    }
    return usable ? 'whole' : { message: 'none of the images that it lists is there' };
  }
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
