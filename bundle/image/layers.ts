import type { LayerSource } from '../layers/apply.ts';
import { readBlob } from './read-blob.ts';
import type { Image } from './resolve.ts';
import type { BlobSource } from './source.ts';

/**
 * The layers of an image, from the base upwards; what is read from them is verified.
 *
 * @param opened hears that a layer is about to be read; its index counts from 0
 */
export function layerSources(
  source: BlobSource,
  { manifest, config }: Image,
  opened: (index: number) => void,
): LayerSource[] {
  return manifest.layers.map((descriptor, index) => {
    const what = `layer ${index + 1} of ${manifest.layers.length}`;
    return {
      mediaType: descriptor.mediaType,
      diffId: config.rootfs.diff_ids[index] as string,
      describe: `${what} (${descriptor.digest})`,
      open() {
        opened(index);
        return readBlob(source, descriptor, what);
      },
    };
  });
}
