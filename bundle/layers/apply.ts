import { LayerApplier, undescribed } from './applier.ts';
import { detectPrivileges, type Privileges } from './privileges.ts';
import { type LayerSource, readLayer } from './read-layer.ts';
import { Rootfs } from './rootfs.ts';
import { Tree } from './tree.ts';

export type { Privileges } from './privileges.ts';
export type { LayerSource } from './read-layer.ts';

/** How layers are applied. */
export interface ApplyOptions {
  /** Hears how many bytes of blobs were read so far, of all layers together. */
  onProgress?(compressedBytesRead: number): void;
  /** Hears, in one line each, of what could not be kept as the image has it. */
  onWarning?(line: string): void;
  /** What may be tried; by default what this process may do (see `detectPrivileges`). */
  readonly privileges?: Privileges;
}

/**
 * Unpacks layers, the lowest first, into a directory (image-spec, layer.md: Applying
 * Changesets). Nothing is written outside of it, whatever names and links say. After an error
 * its content is of no use.
 *
 * @param rootfs an empty directory
 * @throws Error in one line that names the layer and the entry: a damaged archive or one with
 *   another diffID, an entry that can't be created, a full disk
 */
export async function applyLayers(
  rootfs: string,
  layers: readonly LayerSource[],
  options: ApplyOptions = {},
): Promise<void> {
  const warn = options.onWarning ?? (() => undefined);
  const tree = new Tree(undescribed({ layer: rootfs, name: Buffer.from('/') }));
  const disk = new Rootfs(rootfs, tree, options.privileges ?? detectPrivileges(), warn);
  let total = 0;
  const count = (bytes: number) => {
    total += bytes;
    options.onProgress?.(total);
  };
  try {
    for (const [i, layer] of layers.entries()) {
      const applier = new LayerApplier(tree, disk, i + 1, layer.describe);
      await readLayer(layer, applier, count, warn);
      disk.flush();
    }
    disk.finish();
  } finally {
    disk.close();
  }
}
