import type { Descriptor } from '../../schemas/image.ts';
import type { Document } from '../image/document.ts';
import { isConfigType, isIndexType, isManifestType } from '../image/media-types.ts';
import { memoryContent } from '../image/memory.ts';
import { formatName, type ImageName } from '../image/name.ts';
import type { Content, ImageSource } from '../image/source.ts';
import { registryBlob } from './blobs.ts';
import { RegistryClient, type RegistryOptions } from './client.ts';
import { type Endpoint, endpointOf, mirrorsOf } from './endpoint.ts';
import { hasStatus, RegistryError } from './error.ts';
import { fetchManifest } from './manifests.ts';
import { listReferrers } from './referrers.ts';

/** An image of a registry. */
export interface RegistrySource extends ImageSource {
  readonly root: Descriptor;
  /** Where it is from: the registry, or a mirror. */
  readonly endpoint: Endpoint;
}

/**
 * Opens an image of a registry, or of the first of its mirrors that has it. What that mirror
 * then fails to send comes from the registry itself.
 *
 * @throws RegistryError in one line when there is no such image, or none can be had
 */
export async function registrySource(
  name: ImageName,
  options: RegistryOptions = {},
): Promise<RegistrySource> {
  const origin = new RegistryClient(endpointOf(name, options.insecure ?? false), options);
  const reference = name.digest ?? name.tag ?? 'latest';
  for (const endpoint of mirrorsOf(name)) {
    const mirror = new RegistryClient(endpoint, options);
    try {
      const root = await fetchManifest(mirror, reference, { repeat: false });
      return sourceOf(name, root, [mirror, origin]);
    } catch (error) {
      mirror.close();
      mirror.passOver(error);
    }
  }
  try {
    return sourceOf(name, await fetchManifest(origin, reference), [origin]);
  } catch (error) {
    origin.close();
    if (!hasStatus(error, 404)) throw error;
    throw new RegistryError(`there is no image ${formatName(name)}: ${error.message}`, {
      status: 404,
      cause: error,
    });
  }
}

/** @param clients who has it, in the order in which they are asked */
function sourceOf(
  name: ImageName,
  root: Document,
  clients: readonly [RegistryClient, ...RegistryClient[]],
): RegistrySource {
  const [{ endpoint }] = clients;
  const by = clients.length === 1 ? '' : ` (by way of ${endpoint.registry})`;
  return {
    name: `${formatName(name)}${by}`,
    endpoint,
    root: root.descriptor,
    async open(descriptor) {
      if (descriptor.digest === root.descriptor.digest) return memoryContent(root.bytes);
      return isDocument(descriptor)
        ? openDocument(clients, descriptor.digest, descriptor.mediaType)
        : registryBlob(clients, descriptor);
    },
    // A mirror may not know.
    referrers: (digest) => listReferrers(clients.at(-1) as RegistryClient, digest),
    close() {
      for (const client of clients) client.close();
    },
  };
}

async function openDocument(
  clients: readonly RegistryClient[],
  digest: string,
  mediaType: string,
): Promise<Content> {
  const [client, ...others] = clients as [RegistryClient, ...RegistryClient[]];
  try {
    const found = await fetchManifest(client, digest, { accept: mediaType });
    if (found.descriptor.mediaType === mediaType) return memoryContent(found.bytes);
    throw new RegistryError(
      `${client.endpoint.registry} sends it as ${found.descriptor.mediaType}, but its descriptor says ${mediaType}`,
    );
  } catch (error) {
    if (others.length === 0) throw error;
    client.passOver(error);
    return openDocument(others, digest, mediaType);
  }
}

/** Whether registries keep it as a manifest, not as a blob. */
export function isDocument({ mediaType }: Descriptor): boolean {
  return (
    isManifestType(mediaType) ||
    isIndexType(mediaType) ||
    // What indexes list besides, such as artifact manifests; blobs end otherwise, but configurations.
    (/\.manifest\.v\d\+json$/.test(mediaType) && !isConfigType(mediaType))
  );
}
