import type { Store } from '../../bundle/store/store.ts';
import type { Descriptor } from '../../schemas/image.ts';
import { digestOf, type ImageFields, MEDIA } from './layout.ts';

/** What puts images into a store, blob by blob. */
export interface Stored {
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** The blobs of an image, children first. */
export function imageBlobs({
  layers = [],
  config = {},
  manifest = {},
}: ImageFields = {}): Stored & {
  readonly blobs: readonly (readonly [Descriptor, Buffer])[];
} {
  const blobs: [Descriptor, Buffer][] = [];
  const add = (mediaType: string, content: Buffer | object) => {
    const bytes = content instanceof Buffer ? content : Buffer.from(JSON.stringify(content));
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    blobs.push([descriptor, bytes]);
    return descriptor;
  };
  const stored = layers.map((layer) => add(MEDIA.tar, layer));
  const configuration = add(MEDIA.config, {
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) },
    ...config,
  });
  const root = add(MEDIA.manifest, {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: configuration,
    layers: stored,
    ...manifest,
  });
  return { manifest: root, config: configuration, layers: stored, blobs };
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Puts an image into a store. @param name undefined for one without a name */
export async function putImage(
  store: Store,
  name: string | undefined,
  fields: ImageFields = {},
): Promise<Stored> {
  const image = imageBlobs(fields);
  const destination = await store.destination(name);
  try {
    for (const [descriptor, bytes] of image.blobs)
      if (!(await destination.has(descriptor))) await destination.write(descriptor, once(bytes));
    await destination.finish(image.manifest);
  } finally {
    await destination.close();
  }
  return image;
}
