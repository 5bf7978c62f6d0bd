import type { OutputFile } from '../files/output-file.ts';
import { chainIds } from '../image/chain.ts';
import { resolveImage } from '../image/resolve.ts';
import { detectPrivileges } from '../layers/privileges.ts';
import { DiskTree } from '../layers/write/disk-tree.ts';
import { mergeLayers } from '../layers/write/merged.ts';
import { openImage } from '../make/open-image.ts';
import { ensureLayers } from '../store/layers.ts';
import type { Lease, Store } from '../store/store.ts';
import { type ExportOptions, exportTree } from './bundle.ts';

/**
 * Writes all files of an image as one tar archive. Its layers are unpacked in the store, where
 * bundles will find them.
 *
 * @param reference its name, digest or ID in the store, or `oci:LAYOUT[:TAG]` and the like
 * @throws Error in one line
 */
export async function exportImage(
  store: Store,
  reference: string,
  output: OutputFile,
  options: ExportOptions,
): Promise<void> {
  const { source } = await openImage(store, reference);
  let lease: Lease | undefined;
  try {
    const image = await resolveImage(source);
    lease = await store.lease(...chainIds(image.config.rootfs.diff_ids));
    const privileges = detectPrivileges();
    const { signal, onWarning } = options;
    const paths = await ensureLayers(store, source, image, { privileges, signal, onWarning });
    const form = { overlay: true, rootless: privileges === 'rootless' };
    const trees = paths.map((path) => new DiskTree(path, form)).reverse();
    try {
      const [top, ...lower] = trees.map((tree) => tree.root());
      if (top === undefined) throw new Error(`${reference} has no layers, so there are no files`);
      await exportTree(mergeLayers([top, ...lower]), output, options);
    } finally {
      for (const tree of trees) tree.close();
    }
  } finally {
    lease?.release();
    source.close();
  }
}
