import type { LayerSource } from '../layers/apply.ts';
import type { SizeLimit } from '../layers/size-limit.ts';
import { readBlob } from './read-blob.ts';
import type { Image } from './resolve.ts';
import type { BlobSource } from './source.ts';

/**
 * The layers of an image, from the base upwards; what is read from them is verified.
 *
 * @param opened hears that a layer is about to be read; its index counts from 0
 * @param limit of what they may come to, all together
 */
export function layerSources(
  source: BlobSource,
  { manifest, config }: Image,
  opened: (index: number) => void,
  limit?: SizeLimit,
): LayerSource[] {
  return manifest.layers.map((descriptor, index) => {
    const what = `layer ${index + 1} of ${manifest.layers.length}`;
    return {
      mediaType: descriptor.mediaType,
      diffId: config.rootfs.diff_ids[index] as string,
      describe: `${what} (${descriptor.digest})`,
      ...(limit === undefined ? {} : { limit }),
      open() {
        opened(index);
        return readBlob(source, descriptor, what);
      },
    };
  });
}
