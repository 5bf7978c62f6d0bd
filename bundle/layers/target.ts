import type { Origin } from './gathered.ts';
import type { Attributes, Directory, TreeNode } from './tree.ts';

/** A name in a directory that was resolved. */
export interface Spot {
  readonly directory: Directory;
  readonly name: string;
}

/**
 * What a layer is applied to: a tree that becomes the root filesystem, a directory that is one layer
 * of an overlay mount, or a record. Spots are free when something is created in them.
 */
export interface LayerTarget {
  /** Begins a step of the calls that follow. */
  begin(origin: Origin): void;
  /** Creates a file, open for writing until `endFile`. @param size bytes, with its holes */
  createFile(spot: Spot, attributes: Attributes, size: number): void;
  write(bytes: Uint8Array, offset: number): void;
  /** Whether content in this memory is still to be written. Without it, it may be for ever. */
  holds?(memory: ArrayBufferLike): boolean;
  endFile(): void;
  createDirectory(spot: Spot): void;
  createSymlink(spot: Spot, target: string, attributes: Attributes): void;
  /** Creates another name for what is no directory. @param node what the tree has of it */
  createHardLink(spot: Spot, existing: Spot, node: TreeNode): void;
  /** Creates a FIFO or a device. @param type of inode(7) @param device as mknod(2) takes it */
  createNode(spot: Spot, type: number, device: number, attributes: Attributes): void;
  /** Removes what is no directory. */
  unlink(spot: Spot): void;
  /** Removes a directory, empty by now. */
  removeDirectory(directory: Directory): void;
  /** Hears that a directory which is there gets other attributes. */
  describe?(directory: Directory): void;
  /** Hears that all was removed from a directory, and below it, that lower layers had there. */
  makeOpaque?(directory: Directory): void;
}
