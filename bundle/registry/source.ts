import type { Descriptor } from '../../schemas/image.ts';
import { isConfigType, isIndexType, isManifestType } from '../image/media-types.ts';
import { memoryContent } from '../image/memory.ts';
import { formatName, type ImageName } from '../image/name.ts';
import type { Content, ImageSource } from '../image/source.ts';
import { registryBlob } from './blobs.ts';
import { RegistryClient, type RegistryOptions } from './client.ts';
import { type Endpoint, endpointOf, mirrorsOf } from './endpoint.ts';
import { hasStatus, RegistryError } from './error.ts';
import { type FetchedManifest, fetchManifest } from './manifests.ts';

/** An image of a registry. */
export interface RegistrySource extends ImageSource {
  readonly root: Descriptor;
  /** Where it is from: the registry, or a mirror. */
  readonly endpoint: Endpoint;
}

/**
 * Opens an image of a registry, or of the first of its mirrors that has it.
 *
 * @throws RegistryError in one line when there is no such image, or none can be had
 */
export async function registrySource(
  name: ImageName,
  options: RegistryOptions = {},
): Promise<RegistrySource> {
  for (const mirror of mirrorsOf(name)) {
    try {
      return await openAt(mirror, name, { ...options, attempts: 1 });
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof RegistryError)) throw error;
      options.warn?.(`the mirror ${mirror.registry} is passed over: ${error.message}`);
    }
  }
  return openAt(endpointOf(name, options.insecure ?? false), name, options);
}

async function openAt(
  endpoint: Endpoint,
  name: ImageName,
  options: RegistryOptions,
): Promise<RegistrySource> {
  const client = new RegistryClient(endpoint, options);
  try {
    const root = await fetchManifest(client, name.digest ?? name.tag ?? 'latest');
    return {
      name: formatName(name),
      endpoint,
      root: root.descriptor,
      open: (descriptor) => open(client, descriptor, root),
      close: () => client.close(),
    };
  } catch (error) {
    client.close();
    if (!hasStatus(error, 404)) throw error;
    const wanted = formatName({ ...name, ...endpoint });
    throw new RegistryError(`there is no image ${wanted}: ${error.message}`, {
      status: 404,
      cause: error,
    });
  }
}

async function open(
  client: RegistryClient,
  descriptor: Descriptor,
  root: FetchedManifest,
): Promise<Content> {
  if (descriptor.digest === root.descriptor.digest) return memoryContent(root.bytes);
  if (!isDocument(descriptor)) return registryBlob(client, descriptor);
  const found = await fetchManifest(client, descriptor.digest, descriptor.mediaType);
  if (found.descriptor.mediaType !== descriptor.mediaType)
    throw new RegistryError(
      `${client.endpoint.registry} sends it as ${found.descriptor.mediaType}, but its descriptor says ${descriptor.mediaType}`,
    );
  return memoryContent(found.bytes);
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
