import type { OutputFile } from '../files/output-file.ts';
import { resolveImage } from '../image/resolve.ts';
import { detectPrivileges } from '../layers/privileges.ts';
import { DiskTree } from '../layers/write/disk-tree.ts';
import { mergeLayers } from '../layers/write/merged.ts';
import { ensureLayers } from '../store/layers.ts';
import type { Store } from '../store/store.ts';
import { type ExportOptions, exportTree } from './bundle.ts';

/**
 * Writes all files of an image as one tar archive. Its layers are unpacked in the store, where
 * bundles will find them.
 *
 * @throws Error in one line
 */
export async function exportImage(
  store: Store,
  reference: string,
  output: OutputFile,
  options: ExportOptions,
): Promise<void> {
  const source = await store.source(reference);
  try {
    const image = await resolveImage(source);
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
    source.close();
  }
}
