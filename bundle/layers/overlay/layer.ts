import { closeSync, constants, openSync } from 'node:fs';
import { copyFile } from '../copy-file.ts';
import type { Origin } from '../gathered.ts';
import type { Privileges } from '../privileges.ts';
import { Rootfs } from '../rootfs.ts';
import type { LayerTarget, Spot } from '../target.ts';
import type { Attributes, Directory, Tree, TreeNode } from '../tree.ts';
import type { DiskFile } from '../write/disk-file.ts';
import { DiskTree } from '../write/disk-tree.ts';
import {
  OPAQUE_ALL,
  OPAQUE_WHITEOUTS,
  type OverlayFormat,
  overlayFormat,
  takesWhiteoutDevices,
} from './format.ts';

/** What makes a whiteout, which only its place tells apart. */
const WHITEOUT: Omit<Attributes, 'origin'> = {
  mode: 0o600,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: [],
};

/**
 * One layer of an overlay mount, in a directory of its own. The tree is that of all layers up to
 * this one; on disk is what this one brings, completed from those below: the directories that
 * lead to it, and what it has hard links to.
 */
export class OverlayLayer implements LayerTarget {
  readonly #rootfs: Rootfs;
  readonly #tree: Tree;
  readonly #path: string;
  readonly #lower: readonly string[];
  readonly #privileges: Privileges;
  readonly #format: OverlayFormat;
  /** The names in this layer's directories. */
  readonly #here = new Map<Directory, Set<string>>();
  /** Names that lower layers have, which this one has removed or replaced. */
  readonly #hidden = new Map<Directory, Set<string>>();
  /** Directories that are here because lower layers have them. */
  readonly #merged = new Set<Directory>();
  readonly #opaque = new Set<Directory>();
  /** What is here because something else is a hard link to it. */
  readonly #copied: Spot[] = [];
  /** By the number of a lower layer: the paths of its files that have several, by their identity. */
  readonly #linked: Map<string, string[]>[] = [];
  #origin: Origin = { layer: '', name: new Uint8Array(0) };

  /**
   * @param path an empty directory
   * @param lower the directories of the layers below, the lowest first
   */
  constructor(
    path: string,
    lower: readonly string[],
    tree: Tree,
    privileges: Privileges,
    warn: (line: string) => void,
  ) {
    this.#path = path;
    this.#lower = lower;
    this.#tree = tree;
    this.#privileges = privileges;
    this.#format = overlayFormat(privileges);
    this.#rootfs = new Rootfs(path, tree, privileges, warn);
  }

  begin(origin: Origin): void {
    this.#origin = origin;
    this.#rootfs.begin(origin);
  }

  createFile(spot: Spot, attributes: Attributes, size: number): void {
    this.#occupy(spot);
    this.#rootfs.createFile(spot, attributes, size);
  }

  write(bytes: Uint8Array, offset: number): void {
    this.#rootfs.write(bytes, offset);
  }

  holds(memory: ArrayBufferLike): boolean {
    return this.#rootfs.holds(memory);
  }

  endFile(): void {
    this.#rootfs.endFile();
  }

  /** See `Rootfs.adoptFile`. */
  adoptFile(spot: Spot, from: number, as: string): void {
    this.#occupy(spot);
    this.#rootfs.adoptFile(spot, from, as);
  }

  createDirectory(spot: Spot): void {
    this.#occupy(spot);
    this.#rootfs.createDirectory(spot);
  }

  createSymlink(spot: Spot, target: string, attributes: Attributes): void {
    this.#occupy(spot);
    this.#rootfs.createSymlink(spot, target, attributes);
  }

  createHardLink(spot: Spot, existing: Spot, node: TreeNode): void {
    if (!this.#isHere(existing)) this.#copyUp(existing, node);
    this.#occupy(spot);
    this.#rootfs.createHardLink(spot, existing);
  }

  createNode(spot: Spot, type: number, device: number, attributes: Attributes): void {
    this.#occupy(spot);
    this.#rootfs.createNode(spot, type, device, attributes);
  }

  unlink(spot: Spot): void {
    if (!this.#isHere(spot)) {
      add(this.#hidden, spot);
      return;
    }
    this.#here.get(spot.directory)?.delete(spot.name);
    this.#rootfs.unlink(spot);
  }

  removeDirectory(directory: Directory): void {
    const spot = spotOf(directory);
    const here = this.#isHere(spot);
    if (!here || this.#merged.has(directory)) add(this.#hidden, spot);
    if (here) {
      this.#here.get(spot.directory)?.delete(spot.name);
      this.#rootfs.removeDirectory(directory);
    }
    for (const known of [this.#here, this.#hidden, this.#merged, this.#opaque])
      known.delete(directory);
  }

  describe(directory: Directory): void {
    this.#enter(directory);
  }

  /** Those of the root are hidden one by one: a mount does not look whether a root is opaque. */
  makeOpaque(directory: Directory): void {
    if (directory.parent === undefined) return;
    this.#enter(directory);
    if (!this.#merged.has(directory)) return;
    this.#hidden.delete(directory);
    this.#opaque.add(directory);
  }

  /** Completes the layer: writes what hides lower layers, and the directories' attributes. */
  finish(): void {
    this.#rootfs.flush();
    this.#claimCopies();
    const devices = this.#hidden.size > 0 && this.#takesDevices();
    for (const [directory, names] of this.#hidden) {
      for (const name of names) {
        const node = directory.children.get(name);
        if (node?.kind === 'directory') this.#opaque.add(node);
        else if (node === undefined && !this.#isBelowOpaque(directory))
          this.#writeWhiteout({ directory, name }, devices);
      }
    }
    for (const directory of this.#opaque)
      this.#rootfs.mark(directory, this.#format.opaque, OPAQUE_ALL);
    this.#rootfs.finish((directory) => this.#isHere(spotOf(directory)));
  }

  /** Makes all calls that wait. */
  flush(): void {
    this.#rootfs.flush();
  }

  /** Closes all descriptors. */
  close(): void {
    this.#rootfs.close();
  }

  #isHere({ directory, name }: Spot): boolean {
    return this.#here.get(directory)?.has(name) ?? false;
  }

  #occupy(spot: Spot): void {
    this.#enter(spot.directory);
    add(this.#here, spot);
  }

  /** Makes a directory that lower layers have, with the attributes that the tree knows of it. */
  #enter(directory: Directory): void {
    if (directory.parent === undefined) return;
    const spot = spotOf(directory);
    if (this.#isHere(spot)) return;
    this.#occupy(spot);
    this.#merged.add(directory);
    this.#rootfs.createDirectory(spot);
  }

  /**
   * Copies what a lower layer has, with all names that the file has there and still shows: it stays
   * one file.
   */
  #copyUp(spot: Spot, { layer }: TreeNode): void {
    const form = { overlay: true, rootless: this.#privileges === 'rootless' };
    const disk = new DiskTree(this.#lower[layer - 1] as string, form);
    try {
      const file = disk.list(this.#tree.path(spot.directory)).get(spot.name);
      if (file === undefined) throw new Error('it is a hard link to what a lower layer has lost');
      this.#borrow(spot);
      copyFile(file, this.#rootfs, spot, this.#origin);
      if (file.links < 2) return;
      this.#linked[layer] ??= linkedFiles(disk.root());
      for (const path of this.#linked[layer].get(file.identity) ?? []) {
        const other = this.#find(path, layer);
        if (other === undefined || this.#isHere(other)) continue;
        this.#borrow(other);
        this.#rootfs.createHardLink(other, spot);
      }
    } finally {
      disk.close();
    }
  }

  /** Takes a place for what a lower layer has there, too. */
  #borrow(spot: Spot): void {
    this.#occupy(spot);
    add(this.#hidden, spot);
    this.#copied.push(spot);
  }

  /** Where a path is in the tree, if what a layer has there still shows. */
  #find(path: string, layer: number): Spot | undefined {
    const components = path.split('/');
    const name = components.pop() as string;
    let directory: TreeNode | undefined = this.#tree.root;
    for (const component of components)
      directory = directory?.kind === 'directory' ? directory.children.get(component) : undefined;
    if (directory?.kind !== 'directory') return undefined;
    const node = directory.children.get(name);
    return node !== undefined && node.kind !== 'directory' && node.layer === layer
      ? { directory, name }
      : undefined;
  }

  /** From here on, this layer is the one that has what was copied. */
  #claimCopies(): void {
    const layer = this.#lower.length + 1;
    for (const spot of this.#copied) {
      const node = spot.directory.children.get(spot.name);
      if (this.#isHere(spot) && node !== undefined && node.kind !== 'directory')
        spot.directory.children.set(spot.name, { ...node, layer });
    }
  }

  #takesDevices(): boolean {
    const root = openSync(this.#path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return takesWhiteoutDevices(root);
    } finally {
      closeSync(root);
    }
  }

  #isBelowOpaque(directory: Directory): boolean {
    for (let at: Directory | undefined = directory; at !== undefined; at = at.parent)
      if (this.#opaque.has(at)) return true;
    return false;
  }

  #writeWhiteout(spot: Spot, asDevice: boolean): void {
    this.#enter(spot.directory);
    const origin = { ...this.#origin, name: Buffer.from(spot.name, 'latin1') };
    this.#rootfs.begin(origin);
    if (asDevice) {
      this.#rootfs.createWhiteout(spot);
      return;
    }
    this.#rootfs.createFile(spot, { ...WHITEOUT, origin }, 0);
    this.#rootfs.markFile(this.#format.whiteout, OPAQUE_ALL);
    this.#rootfs.endFile();
    this.#rootfs.mark(spot.directory, this.#format.opaque, OPAQUE_WHITEOUTS);
  }
}

function spotOf(directory: Directory): Spot {
  return { directory: directory.parent as Directory, name: directory.name };
}

function add(names: Map<Directory, Set<string>>, { directory, name }: Spot): void {
  const known = names.get(directory);
  if (known === undefined) names.set(directory, new Set([name]));
  else known.add(name);
}

/** The paths of all files of a layer that have several. */
function linkedFiles(root: DiskFile): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const waiting = [root];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for (const file of directory.children().values()) {
      if (file.type === 'directory') waiting.push(file);
      else if (file.links > 1 && file.type !== 'whiteout') {
        const paths = found.get(file.identity);
        if (paths === undefined) found.set(file.identity, [file.path]);
        else paths.push(file.path);
      }
    }
  }
  return found;
}
