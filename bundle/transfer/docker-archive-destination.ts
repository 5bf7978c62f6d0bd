import type { Descriptor, Manifest } from '../../schemas/image.ts';
import { isManifestType } from '../image/media-types.ts';
import { familiarName, formatName, type ImageName } from '../image/name.ts';
import type { ImageDestination } from '../image/source.ts';
import { blobName, endLayout, openArchive } from './archive-destination.ts';
import { REF_NAME } from './index-entries.ts';

/** The annotation by which Docker and containerd know an image's name. */
const CONTAINERD_NAME = 'io.containerd.image.name';

/**
 * Writes an image as `docker save` of Docker 25 does: an OCI image layout, in which `manifest.json`
 * tells older readers where they find the configuration and the layers. Digests stay.
 *
 * @param path a file, which is replaced
 * @param name what the image is called; without one it is loaded as an image without a name
 */
export function dockerArchiveDestination(
  path: string,
  name: ImageName | undefined,
): ImageDestination {
  const archive = openArchive(path);
  const documents = new Map<string, Uint8Array>();
  return {
    ...archive,
    single: true,
    async write(descriptor, content) {
      const chunks: Uint8Array[] = [];
      await archive.write(descriptor, isManifestType(descriptor.mediaType) ? kept() : content);
      async function* kept(): AsyncGenerator<Uint8Array> {
        for await (const chunk of content) {
          chunks.push(chunk);
          yield chunk;
        }
        documents.set(descriptor.digest, Buffer.concat(chunks));
      }
    },
    async finish(root) {
      const bytes = documents.get(root.digest);
      if (bytes === undefined) throw new Error(`${path}: ${root.mediaType} is no image`);
      archive.tar.addText('manifest.json', manifestJson(bytes, name));
      endLayout(archive.tar, root, annotationsOf(name));
      archive.tar.finish();
    },
  };
}

function manifestJson(bytes: Uint8Array, name: ImageName | undefined): string {
  const { config, layers } = JSON.parse(Buffer.from(bytes).toString()) as Manifest;
  const entry = {
    Config: blobName(config.digest),
    RepoTags: name === undefined ? null : [familiarName({ ...name, tag: name.tag ?? 'latest' })],
    Layers: layers.map(({ digest }: Descriptor) => blobName(digest)),
  };
  return JSON.stringify([entry]);
}

function annotationsOf(name: ImageName | undefined): Record<string, string> {
  if (name === undefined) return {};
  const whole = formatName(name);
  return { [CONTAINERD_NAME]: whole, [REF_NAME]: whole };
}
