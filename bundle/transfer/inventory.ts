import type { Descriptor, Index } from '../../schemas/image.ts';
import { type Document, documentOf } from '../image/document.ts';
import { isIndexType, isManifestType, OCI } from '../image/media-types.ts';
import { memoryContent } from '../image/memory.ts';
import { readDocument } from '../image/read-blob.ts';
import { readIndex, readManifest } from '../image/resolve.ts';
import type { BlobSource, ImageSource } from '../image/source.ts';
import { toOci } from './convert.ts';

/** No builder nests indexes deeper than two. */
const MAX_DEPTH = 8;

/** A configuration or a layer: how it is called where it is, and where it goes. */
export interface BlobCopy {
  readonly from: Descriptor;
  readonly to: Descriptor;
  /** For people: `layer 2 of 5`. */
  readonly what: string;
}

/** All that an image consists of. */
export interface Inventory {
  /** Children first. */
  readonly documents: readonly Document[];
  /** What the image itself is. */
  readonly root: Descriptor;
  /** What refers to the image, or to one of its manifests; it is among the documents. */
  readonly referrers: readonly Descriptor[];
  /** Each once, in the order of the manifests. */
  readonly blobs: readonly BlobCopy[];
}

/**
 * Reads all manifests below a root, and lists what they need.
 *
 * @param oci whether Docker's formats become those of OCI, which changes digests
 * @param referrers whether what refers to the image is meant, too
 * @throws Error in one line for a document that is missing, damaged or invalid
 */
export async function takeInventory(
  source: Source,
  root: Descriptor | Index,
  oci: boolean,
  referrers: boolean,
): Promise<Inventory> {
  const collector = new Collector(source, oci);
  const own = await collector.add('manifests' in root ? indexDocument(root) : root, 0);
  const found = referrers ? await addReferrers(source, collector) : [];
  const { documents, blobs } = collector;
  return { documents, blobs, root: own, referrers: found };
}

/** Where documents are, and perhaps what refers to them. */
type Source = BlobSource & Pick<ImageSource, 'referrers'>;

/** Adds what refers to any of the documents, and to that. */
async function addReferrers(source: Source, collector: Collector): Promise<Descriptor[]> {
  if (source.referrers === undefined)
    throw new Error(
      `${source.name}: what refers to it is not known here: registries (docker://NAME) and layouts (oci:DIR:TAG) know`,
    );
  const found: Descriptor[] = [];
  // It grows meanwhile.
  for (const { descriptor } of collector.documents)
    for (const referrer of await source.referrers(descriptor.digest)) {
      if (found.some(({ digest }) => digest === referrer.digest)) continue;
      found.push(referrer);
      await collector.add(referrer, 0);
    }
  return found;
}

class Collector {
  readonly documents: Document[] = [];
  readonly blobs: BlobCopy[] = [];
  readonly #source: BlobSource;
  readonly #oci: boolean;
  /** By the digest that it has in the source: what an index lists twice is read once. */
  readonly #known = new Map<string, Descriptor>();
  readonly #blobs = new Set<string>();

  constructor(source: BlobSource, oci: boolean) {
    this.#source = source;
    this.#oci = oci;
  }

  /** @returns how the destination calls it */
  async add(given: Descriptor | Document, depth: number): Promise<Descriptor> {
    const descriptor = 'bytes' in given ? given.descriptor : given;
    const known = this.#known.get(descriptor.digest);
    if (known !== undefined) return { ...descriptor, ...known };
    if (depth > MAX_DEPTH)
      throw new Error(`${this.#source.name}: image indexes are nested more than ${MAX_DEPTH} deep`);
    const bytes =
      'bytes' in given
        ? given.bytes
        : await readDocument(this.#source, descriptor, kindOf(descriptor));
    const document = await this.#children({ descriptor, bytes }, depth);
    const { mediaType, digest, size } = document.descriptor;
    this.#known.set(descriptor.digest, { mediaType, digest, size });
    this.documents.push(document);
    return document.descriptor;
  }

  async #children(document: Document, depth: number): Promise<Document> {
    const { descriptor } = document;
    if (isIndexType(descriptor.mediaType)) {
      const index = await readIndex(holding(document), descriptor);
      const manifests: Descriptor[] = [];
      for (const child of index.manifests) manifests.push(await this.add(child, depth + 1));
      return this.#oci ? toOci(document, { ...index, manifests }) : document;
    }
    // What else an index lists has no children that we know.
    if (!isManifestType(descriptor.mediaType)) return document;
    const manifest = await readManifest(holding(document), descriptor);
    const written = this.#oci ? toOci(document, manifest) : document;
    const { config, layers } = this.#oci
      ? await readManifest(holding(written), written.descriptor)
      : manifest;
    this.#blob(manifest.config, config, 'configuration');
    for (const [i, layer] of layers.entries())
      this.#blob(manifest.layers[i] as Descriptor, layer, `layer ${i + 1} of ${layers.length}`);
    return written;
  }

  #blob(from: Descriptor, to: Descriptor, what: string): void {
    if (this.#blobs.has(to.digest)) return;
    this.#blobs.add(to.digest);
    this.blobs.push({ from, to, what });
  }
}

/** An index that was no blob: a layout's own, whose entries are the platforms of one image. */
function indexDocument(index: Index): Document {
  return documentOf({ ...index, mediaType: OCI.index }, OCI.index);
}

function kindOf({ mediaType }: Descriptor): string {
  return isIndexType(mediaType) ? 'image index' : 'image manifest';
}

/** A source of one document, through which it is checked as any other. */
function holding({ bytes }: Document): BlobSource {
  return { name: 'memory', open: async () => memoryContent(bytes), close() {} };
}
