import type { Descriptor, Index, Manifest } from '../../schemas/image.ts';
import type { OutputFile } from '../files/output-file.ts';
import { parseDigest } from '../image/digest.ts';
import { isIndexType, isManifestType } from '../image/media-types.ts';
import { memoryContent } from '../image/memory.ts';
import { familiarName, formatName, type ImageName } from '../image/name.ts';
import { REF_NAME } from '../image/reference.ts';
import { chooseManifest } from '../image/resolve.ts';
import type { ImageDestination } from '../image/source.ts';
import { entryOf } from './index-entries.ts';
import { TarFile } from './tar-file.ts';

/** The annotation by which Docker and containerd know an image's name. */
export const CONTAINERD_NAME = 'io.containerd.image.name';

/**
 * `oci` is an OCI image layout; `docker` is the same as `docker save` writes it since version 25,
 * with a `manifest.json` that tells older readers where they find configurations and layers.
 */
export type ArchiveFormat = 'oci' | 'docker';

/** An image that is in the archive. */
interface Entry {
  readonly root: Descriptor;
  /** In `docker` archives. */
  readonly name: ImageName | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A tar archive of images that is being written. The same images make the same archive. */
export class ImageArchive {
  readonly #tar: TarFile;
  readonly #output: OutputFile;
  readonly #format: ArchiveFormat;
  readonly #written = new Set<string>();
  /** Manifests and indexes. */
  readonly #documents = new Map<string, Buffer>();
  readonly #entries: Entry[] = [];

  /** @param output closed by `close` */
  constructor(output: OutputFile, format: ArchiveFormat) {
    this.#output = output;
    this.#tar = new TarFile(output);
    this.#format = format;
  }

  /** A place for an image with a tag, in a layout. */
  tagged(tag: string): ImageDestination {
    return this.#destination(undefined, { [REF_NAME]: tag });
  }

  /** A place for an image with a name, or without one. */
  named(name: ImageName | undefined): ImageDestination {
    const whole = name && formatName(name);
    return this.#destination(
      name,
      whole === undefined ? {} : { [CONTAINERD_NAME]: whole, [REF_NAME]: whole },
    );
  }

  /** Ends the archive. */
  async finish(): Promise<void> {
    if (this.#format === 'docker')
      this.#tar.addText('manifest.json', JSON.stringify(await this.#manifestJson()));
    const manifests = this.#entries.map(({ root, annotations }) => entryOf(root, annotations));
    const index: Index = { schemaVersion: 2, manifests };
    this.#tar.addText('index.json', JSON.stringify(index));
    this.#tar.addText('oci-layout', '{"imageLayoutVersion":"1.0.0"}');
    this.#tar.finish();
  }

  /** Without `finish` nothing is left of it. */
  close(): void {
    this.#output.close();
  }

  #destination(name: ImageName | undefined, annotations: Entry['annotations']): ImageDestination {
    return {
      name: this.#output.name,
      sequential: true,
      has: async ({ digest }) => this.#written.has(digest),
      write: (descriptor, content) => this.#write(descriptor, content),
      finish: async (root) => {
        this.#entries.push({ root, name, annotations });
      },
      close: async () => {},
    };
  }

  async #write({ digest, size, mediaType }: Descriptor, content: AsyncIterable<Uint8Array>) {
    const chunks: Uint8Array[] = [];
    const isDocument = isManifestType(mediaType) || isIndexType(mediaType);
    async function* kept(): AsyncGenerator<Uint8Array> {
      for await (const chunk of content) {
        if (isDocument) chunks.push(chunk);
        yield chunk;
      }
    }
    await this.#tar.add(blobName(digest), size, kept());
    this.#written.add(digest);
    if (isDocument) this.#documents.set(digest, Buffer.concat(chunks));
  }

  /** An entry for each image, with all its names. */
  async #manifestJson(): Promise<object[]> {
    const names = new Map<string, string[]>();
    const manifests = new Map<string, Manifest>();
    for (const { root, name } of this.#entries) {
      const manifest = await this.#manifestOf(root);
      // An index may list no image at all.
      if (manifest === undefined) continue;
      const { digest } = manifest.config;
      manifests.set(digest, manifest);
      const known = names.get(digest) ?? [];
      const tag = name && familiarName({ ...name, tag: name.tag ?? 'latest' });
      names.set(digest, tag === undefined ? known : [...known, tag]);
    }
    return [...manifests].map(([digest, { config, layers }]) => ({
      Config: blobName(config.digest),
      RepoTags: names.get(digest)?.length ? names.get(digest) : null,
      Layers: layers.map((layer) => blobName(layer.digest)),
    }));
  }

  /** The older format has room for one platform of an image: this machine's, or the first. */
  async #manifestOf(root: Descriptor): Promise<Manifest | undefined> {
    const documents = {
      name: this.#output.name,
      root,
      open: async ({ digest }: Descriptor) => {
        const bytes = this.#documents.get(digest);
        return bytes && memoryContent(bytes);
      },
      close() {},
    };
    const chosen = await chooseManifest(documents).catch(() => this.#firstBelow(root));
    return chosen && this.#read<Manifest>(chosen);
  }

  /** The first manifest that an index, or one in it, lists. @param seen indexes that were looked at */
  #firstBelow(index: Descriptor, seen = new Set<string>()): Descriptor | undefined {
    seen.add(index.digest);
    for (const child of this.#read<Index>(index).manifests) {
      if (isManifestType(child.mediaType)) return child;
      const isNew = isIndexType(child.mediaType) && !seen.has(child.digest);
      const found = isNew ? this.#firstBelow(child, seen) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #read<T>({ digest }: Descriptor): T {
    return JSON.parse(String(this.#documents.get(digest))) as T;
  }
}

/** Where a layout has a blob. */
function blobName(digest: string): string {
  const { algorithm, encoded } = parseDigest(digest);
  return `blobs/${algorithm}/${encoded}`;
}
