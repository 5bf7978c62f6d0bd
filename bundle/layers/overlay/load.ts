import { attributesOf } from '../applier.ts';
import type { Privileges } from '../privileges.ts';
import type { Directory, Leaf, Tree } from '../tree.ts';
import type { DiskFile } from '../write/disk-file.ts';
import { DiskTree } from '../write/disk-tree.ts';

/**
 * Puts a layer that is on disk, in the form that overlay mounts read, onto the tree of the layers
 * below it.
 *
 * @param tree gets what this layer brings and loses what it hides
 * @param number of the layer; the lowest is 1
 * @param path the layer's directory
 * @param privileges with which it was made
 * @throws Error in one line when it cannot be read
 */
export function loadLayer(tree: Tree, number: number, path: string, privileges: Privileges): void {
  const disk = new DiskTree(path, { overlay: true, rootless: privileges === 'rootless' });
  try {
    load(tree, tree.root, disk.root(), { kind: 'leaf', layer: number });
  } finally {
    disk.close();
  }
}

function load(tree: Tree, directory: Directory, file: DiskFile, leaf: Leaf): void {
  const name = Buffer.from(`/${file.path}`, 'latin1');
  directory.attributes = attributesOf(file, { layer: `layer ${leaf.layer}`, name });
  directory.layer = leaf.layer;
  if (file.opaque) directory.children.clear();
  for (const [childName, child] of file.children()) {
    const present = directory.children.get(childName);
    if (child.type === 'directory') {
      const node =
        present?.kind === 'directory'
          ? present
          : tree.addDirectory(directory, childName, leaf.layer, directory.attributes);
      load(tree, node, child, leaf);
    } else if (child.type === 'whiteout') directory.children.delete(childName);
    else if (child.type === 'symbolic link')
      directory.children.set(childName, {
        kind: 'symlink',
        target: child.target(),
        layer: leaf.layer,
      });
    else directory.children.set(childName, leaf);
  }
}
