import { attributesOf } from '../layers/applier.ts';
import { copyFile } from '../layers/copy-file.ts';
import type { Privileges } from '../layers/privileges.ts';
import { Rootfs } from '../layers/rootfs.ts';
import type { Spot } from '../layers/target.ts';
import { type Directory, Tree } from '../layers/tree.ts';
import type { DiskFile } from '../layers/write/disk-file.ts';
import { withLayers } from './layers-root.ts';

/**
 * Copies what an overlay mount of unpacked layers would show. Where the file system can share blocks
 * between files, content takes no room.
 *
 * @param layers their directories, the lowest first, at least one
 * @param rootfs an empty directory
 * @param privileges with which the layers were made
 * @param step is called before each file: what it throws ends the copying
 * @throws Error in one line
 */
export function copyLayers(
  layers: readonly string[],
  rootfs: string,
  privileges: Privileges,
  step: () => void,
  warn: (line: string) => void,
): void {
  withLayers(layers, privileges, (root) => {
    const origin = { layer: rootfs, name: Buffer.from('/') };
    const tree = new Tree(attributesOf(root, origin));
    const disk = new Rootfs(rootfs, tree, privileges, warn);
    try {
      new Copier(tree, disk, step).directory(root, tree.root);
      disk.finish();
    } finally {
      disk.close();
    }
  });
}

class Copier {
  readonly #tree: Tree;
  readonly #disk: Rootfs;
  readonly #step: () => void;
  /** Where the first name of a file with several is. */
  readonly #linked = new Map<unknown, Spot>();

  constructor(tree: Tree, disk: Rootfs, step: () => void) {
    this.#tree = tree;
    this.#disk = disk;
    this.#step = step;
  }

  directory(from: DiskFile, into: Directory): void {
    for (const [name, file] of from.children()) {
      this.#step();
      const origin = { layer: 'the copy', name: Buffer.from(file.path, 'latin1') };
      const spot = { directory: into, name };
      this.#disk.begin(origin);
      if (file.type === 'directory') {
        this.#disk.createDirectory(spot);
        const attributes = attributesOf(file, origin);
        this.directory(file, this.#tree.addDirectory(into, name, 1, attributes));
      } else this.#file(file, spot, origin);
    }
  }

  #file(file: DiskFile, spot: Spot, origin: Parameters<typeof copyFile>[3]): void {
    const first = this.#linked.get(file.identity);
    if (first !== undefined) {
      this.#disk.createHardLink(spot, first);
      return;
    }
    if (file.links > 1) this.#linked.set(file.identity, spot);
    copyFile(file, this.#disk, spot, origin);
  }
}
