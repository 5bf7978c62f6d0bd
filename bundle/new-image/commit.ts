import { changesOfBundle, openBundleFiles, openBundleImage } from '../existing/files.ts';
import { readRecord } from '../existing/record.ts';
import { composeImage } from '../image/compose.ts';
import { sourceDateEpoch } from '../image/epoch.ts';
import type { ImageDestination } from '../image/source.ts';
import { layerEntries, tarOf } from '../layers/write/archive.ts';
import type { Change } from '../layers/write/changes.ts';
import { type WrittenLayer, writeLayer } from '../layers/write/layer.ts';
import { temporaryDirectory } from '../layers/write/nameless-file.ts';
import { editBy, type MakeOptions, type NewImage, publish, ticking } from './publish.ts';

/**
 * Makes an image of a bundle: that of the bundle, and what its container changed as one more layer.
 * Where nothing was changed there is no layer, and the history says so. The bundle stays as it is.
 *
 * @throws Error in one line: also for a file that is written to while it is read
 */
export async function commitBundle(
  bundle: string,
  destination: ImageDestination,
  options: MakeOptions,
): Promise<NewImage> {
  const { signal } = options;
  const record = readRecord(bundle);
  const base = await openBundleImage(bundle, record);
  try {
    // Wrong instructions are told before the work begins.
    editBy(options, 'commit', false).execution(base.image.config.config ?? {});
    const files = openBundleFiles(bundle, record);
    try {
      const changes = await changesOfBundle(bundle, record, base, files, signal);
      const layer = changes.length === 0 ? undefined : await layerOf(changes, options);
      try {
        const edit = editBy(options, 'commit', layer === undefined);
        const image = composeImage(base, { ...edit, layer }, destination.name);
        return await publish(image, destination, signal);
      } finally {
        layer?.close();
      }
    } finally {
      files.close();
    }
  } finally {
    base.source.close();
  }
}

function layerOf(changes: readonly Change[], options: MakeOptions): Promise<WrittenLayer> {
  const { packing, onWarning } = options;
  const entries = layerEntries(changes, { latest: sourceDateEpoch(), onWarning });
  return writeLayer(tarOf(entries), packing, temporaryDirectory(), ticking(options));
}
