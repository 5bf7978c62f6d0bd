import type { Descriptor, Index, Manifest } from '../../schemas/image.ts';
import { formatName, type ImageName } from '../image/name.ts';
import type { ImageDestination } from '../image/source.ts';
import { hasBlob } from './blobs.ts';
import { RegistryClient, type RegistryOptions } from './client.ts';
import { endpointOf } from './endpoint.ts';
import { RegistryError } from './error.ts';
import { fetchManifest, hasManifest, putManifest } from './manifests.ts';
import { gathered } from './pieces.ts';
import { addReferrer } from './referrers.ts';
import { isDocument } from './source.ts';
import { uploadBlob } from './uploads.ts';

/** How an image is sent to a registry. */
export interface RegistryDestinationOptions extends RegistryOptions {
  /** A repository of the same registry that may have a blob, so that it need not be sent. */
  readonly mountFrom?: (digest: string) => Promise<string | undefined>;
}

/** Layers that only their maker may hand out (image-spec, layer.md: Non-Distributable Layers). */
const NOT_OURS = /\.(?:nondistributable|foreign)\./;

/**
 * Writes an image to a registry; never to its mirrors.
 *
 * @param name where to: its tag, and its digest if it has one, which the image must have then
 */
export async function registryDestination(
  name: ImageName,
  options: RegistryDestinationOptions = {},
): Promise<ImageDestination> {
  const endpoint = endpointOf(name, options.insecure ?? false);
  const client = new RegistryClient(endpoint, options);
  const documents = new Map<string, Buffer>();
  return {
    name: formatName(name),
    async has(descriptor) {
      if (isDocument(descriptor)) return hasManifest(client, descriptor.digest);
      return NOT_OURS.test(descriptor.mediaType) || hasBlob(client, descriptor);
    },
    async write(descriptor, content) {
      if (!isDocument(descriptor)) {
        const from = await options.mountFrom?.(descriptor.digest);
        await uploadBlob(client, descriptor, content, from);
        return;
      }
      const bytes = await gathered(content);
      documents.set(descriptor.digest, bytes);
      await putDocument(client, descriptor, bytes);
    },
    // The registry keeps account of it, or `write` did.
    async attach() {},
    async finish(root) {
      if (name.digest !== undefined && name.digest !== root.digest)
        throw new RegistryError(
          `${formatName(name)}: the image is another one: its digest is ${root.digest}`,
        );
      if (name.tag === undefined) return;
      const bytes = documents.get(root.digest) ?? (await fetchManifest(client, root.digest)).bytes;
      await putManifest(client, name.tag, { mediaType: root.mediaType, bytes });
    },
    async close() {
      client.close();
    },
  };
}

async function putDocument(
  client: RegistryClient,
  { mediaType, digest, size }: Descriptor,
  bytes: Buffer,
): Promise<void> {
  const known = await putManifest(client, digest, { mediaType, bytes });
  const { subject, artifactType, annotations, ...rest } = JSON.parse(bytes.toString()) as
    | Manifest
    | Index;
  if (subject === undefined || known) return;
  const type = artifactType ?? ('config' in rest ? rest.config.mediaType : undefined);
  await addReferrer(client, subject.digest, {
    mediaType,
    digest,
    size,
    ...(type === undefined ? {} : { artifactType: type }),
    ...(annotations === undefined ? {} : { annotations }),
  });
}
