import { checkReadable, type RootReader } from '../config/rootfs-file.ts';
import type { Privileges } from '../layers/privileges.ts';
import type { DiskFile } from '../layers/write/disk-file.ts';
import { DiskTree } from '../layers/write/disk-tree.ts';
import { mergeLayers } from '../layers/write/merged.ts';
import { resolvePath } from '../layers/write/resolve-path.ts';

/**
 * Looks at what unpacked layers show together, without a mount.
 *
 * @param layers their directories, the lowest first, at least one
 * @param privileges with which they were made
 * @throws Error in one line when they cannot be read
 */
export function withLayers<T>(
  layers: readonly string[],
  privileges: Privileges,
  look: (root: DiskFile) => T,
): T {
  const form = { overlay: true, rootless: privileges === 'rootless' };
  const trees = layers.map((path) => new DiskTree(path, form));
  try {
    const roots = trees.toReversed().map((tree) => tree.root());
    return look(mergeLayers(roots as [DiskFile, ...DiskFile[]]));
  } finally {
    for (const tree of trees) tree.close();
  }
}

/** Reads files and directories of a tree by their paths in the container. */
export function treeReader(root: DiskFile): RootReader {
  const find = (path: string) => {
    let file: DiskFile | undefined = root;
    const resolved = resolvePath(root, Buffer.from(path).toString('latin1'));
    for (const name of resolved === '' ? [] : resolved.split('/'))
      file = file?.type === 'directory' ? file.children().get(name) : undefined;
    return file;
  };
  return {
    readFile(path) {
      const file = find(path);
      if (file === undefined) return undefined;
      checkReadable(path, file.type === 'file', file.size);
      const open = file.open();
      try {
        const bytes = Buffer.alloc(file.size);
        return bytes.toString('utf8', 0, open.read(bytes, 0, bytes.length));
      } finally {
        open.close();
      }
    },
    directory(path) {
      const file = find(path);
      return file?.type === 'directory' ? file : undefined;
    },
  };
}
