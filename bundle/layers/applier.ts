import { S } from '../../runtime/linux/constants.ts';
import type { Origin } from './gathered.ts';
import { AUFS, entryComponents, latin1, OPAQUE, printable, WHITEOUT } from './names.ts';
import type { TarEntry } from './tar/entry.ts';
import type { TarVisitor } from './tar/reader.ts';
import type { LayerTarget, Spot } from './target.ts';
import {
  type Attributes,
  childPathLength,
  type Directory,
  type Leaf,
  type Place,
  type Tree,
  type TreeNode,
} from './tree.ts';

/**
 * What a directory has that no entry describes: the root itself, and parents that a layer takes
 * for granted. The time is fixed, so that the same image gives the same tree every time.
 */
export function undescribed(origin: Origin): Attributes {
  const mtime = { seconds: 0, nanoseconds: 0 };
  return { mode: 0o755, uid: 0, gid: 0, mtime, xattrs: [], origin };
}

/** Puts a file in its place whose content was stored before. */
export type Adopt = (spot: Spot) => void;

/** What a hard link becomes another name of. */
interface Linked {
  readonly spot: Spot;
  readonly node: TreeNode;
}

/**
 * Applies the entries of one layer to a root filesystem, as image-spec's layer.md says: what is
 * there gives way, but for a directory under a directory; whiteouts hide what lower layers have.
 */
export class LayerApplier implements TarVisitor {
  readonly #tree: Tree;
  readonly #target: LayerTarget;
  readonly #layer: string;
  readonly #number: number;
  readonly #leaf: Leaf;
  /** Whether what comes is the content of a file. */
  #writing = false;

  /**
   * @param number of the layer; the lowest is 1
   * @param layer how errors call it
   */
  constructor(tree: Tree, target: LayerTarget, number: number, layer: string) {
    this.#tree = tree;
    this.#target = target;
    this.#number = number;
    this.#layer = layer;
    this.#leaf = { kind: 'leaf', layer: number };
  }

  /**
   * @param adopt for a file whose content does not follow
   * @throws Error when the entry can't be applied
   */
  entry(entry: TarEntry, adopt?: Adopt): void {
    const components = entryComponents(entry.name);
    const origin = { layer: this.#layer, name: entry.name };
    this.#target.begin(origin);
    const marked = components.findIndex((component) => component.startsWith(WHITEOUT));
    if (marked >= 0 && isBookkeeping(components)) return;
    const name = components.pop();
    if (marked >= 0 && marked < components.length)
      throw new Error(`it lies below a name that begins with ${WHITEOUT}, as only whiteouts do`);
    if (name !== undefined && marked >= 0) this.#whiteOut(components, name, origin);
    else if (name === undefined) this.#describeRoot(entry, origin);
    else this.#place(components, name, entry, origin, adopt);
  }

  content(bytes: Uint8Array, offset: number): void {
    if (this.#writing) this.#target.write(bytes, offset);
  }

  holds(memory: ArrayBufferLike): boolean {
    return this.#target.holds?.(memory) ?? true;
  }

  end(): void {
    if (this.#writing) this.#target.endFile();
    this.#writing = false;
  }

  #describeRoot(entry: TarEntry, origin: Origin): void {
    if (entry.type !== 'directory') throw new Error(`the root can't become a ${entry.type}`);
    this.#tree.root.attributes = attributesOf(entry, origin);
    this.#tree.touch(this.#tree.root, this.#number);
  }

  #place(
    components: readonly string[],
    name: string,
    entry: TarEntry,
    origin: Origin,
    adopt: Adopt | undefined,
  ): void {
    const directory = this.#createParents(this.#tree.resolve(components), origin);
    const present = directory.children.get(name);
    this.#tree.touch(directory, this.#number);
    if (entry.type === 'directory' && present?.kind === 'directory') {
      this.#target.describe?.(present);
      present.attributes = attributesOf(entry, origin);
      present.layer = this.#number;
      return;
    }
    childPathLength(directory, name);
    const spot = { directory, name };
    // Found before anything gives way: the link may lead to what is replaced, or through it.
    const linked = entry.type === 'hard link' ? this.#findLinked(entry, spot) : undefined;
    if (present !== undefined) this.#remove(spot, present, origin);
    const node =
      linked === undefined
        ? this.#create(spot, entry, attributesOf(entry, origin), adopt)
        : this.#link(spot, linked);
    directory.children.set(name, node);
  }

  #createParents({ directory, missing }: Place, origin: Origin): Directory {
    let parent = directory;
    for (const name of missing) {
      if (parent.children.has(name))
        throw new Error(`its parent ${printable(Buffer.from(name, 'latin1'))} is not a directory`);
      this.#target.createDirectory({ directory: parent, name });
      parent = this.#tree.addDirectory(parent, name, this.#number, undescribed(origin));
    }
    return parent;
  }

  /** Creates what isn't there any more, or wasn't. @returns what the tree has of it */
  #create(spot: Spot, entry: TarEntry, attributes: Attributes, adopt: Adopt | undefined): TreeNode {
    const target = this.#target;
    switch (entry.type) {
      case 'file':
        this.#writing = adopt === undefined;
        if (adopt === undefined) target.createFile(spot, attributes, entry.size);
        else adopt(spot);
        return this.#leaf;
      case 'directory':
        target.createDirectory(spot);
        return this.#tree.addDirectory(spot.directory, spot.name, this.#number, attributes);
      case 'symbolic link':
        return this.#createSymlink(spot, entry, attributes);
      case 'FIFO':
        target.createNode(spot, S.IFIFO, 0, attributes);
        return this.#leaf;
      default: {
        const type = entry.type === 'block device' ? S.IFBLK : S.IFCHR;
        target.createNode(spot, type, deviceNumber(entry), attributes);
        return this.#leaf;
      }
    }
  }

  #createSymlink(spot: Spot, entry: TarEntry, attributes: Attributes): TreeNode {
    if (entry.linkName.length === 0) throw new Error('it is a symbolic link without a target');
    const target = latin1(entry.linkName);
    this.#target.createSymlink(spot, target, attributes);
    return { kind: 'symlink', target, layer: this.#number };
  }

  /**
   * Finds what a hard link is to be another name of. Its parents are resolved below the root;
   * it may be a symbolic link itself.
   */
  #findLinked(entry: TarEntry, link: Spot): Linked {
    const target = printable(entry.linkName);
    const components = entryComponents(entry.linkName);
    const name = components.pop();
    const { directory, missing } = this.#tree.resolve(components);
    const node =
      name === undefined || missing.length > 0 ? undefined : directory.children.get(name);
    if (name === undefined || node === undefined)
      throw new Error(`it is a hard link to ${target}, which is not in the root filesystem`);
    if (node.kind === 'directory')
      throw new Error(`it is a hard link to ${target}, which is a directory`);
    if (directory === link.directory && name === link.name)
      throw new Error('it is a hard link to itself');
    return { spot: { directory, name }, node };
  }

  /** Creates another name. It has the attributes of the first, whatever its own entry says. */
  #link(spot: Spot, linked: Linked): TreeNode {
    this.#target.createHardLink(spot, linked.spot, linked.node);
    return linked.node.kind === 'symlink' ? { ...linked.node, layer: this.#number } : this.#leaf;
  }

  #whiteOut(components: readonly string[], marker: string, origin: Origin): void {
    const hidden = marker.slice(WHITEOUT.length);
    if (hidden === '' || hidden === '.' || hidden === '..')
      throw new Error(`it is a whiteout of ${hidden === '' ? 'nothing' : `"${hidden}"`}`);
    const { directory, missing } = this.#tree.resolve(components);
    if (missing.length > 0) return;
    if (marker === OPAQUE) {
      this.#removeLower(directory, origin);
      this.#target.makeOpaque?.(directory);
      return;
    }
    const node = directory.children.get(hidden);
    if (node === undefined) return;
    if (node.layer !== this.#number) this.#remove({ directory, name: hidden }, node, origin);
    else if (node.kind === 'directory') {
      this.#removeLower(node, origin);
      this.#target.makeOpaque?.(node);
    }
  }

  /** Removes all that lower layers have in a directory, wherever this layer has not been. */
  #removeLower(directory: Directory, origin: Origin): void {
    for (const [name, node] of directory.children) {
      if (node.layer !== this.#number) this.#remove({ directory, name }, node, origin);
      else if (node.kind === 'directory') this.#removeLower(node, origin);
    }
  }

  #remove(spot: Spot, node: TreeNode, origin: Origin): void {
    if (node.kind === 'directory') {
      for (const [name, child] of node.children)
        this.#remove({ directory: node, name }, child, origin);
    }
    this.#target.begin(origin);
    if (node.kind === 'directory') this.#target.removeDirectory(node);
    else this.#target.unlink(spot);
    spot.directory.children.delete(spot.name);
  }
}

/** aufs's own files, which stood beside the content of layers that Docker once made on it. */
function isBookkeeping(components: readonly string[]): boolean {
  return components.some(
    (component, i) =>
      component.startsWith(AUFS) && !(component === OPAQUE && i === components.length - 1),
  );
}

/** What a file gets besides its content. @throws Error for an impossible owner */
export function attributesOf(
  entry: Pick<TarEntry, Exclude<keyof Attributes, 'origin'>>,
  origin: Origin,
): Attributes {
  const { mode, uid, gid, mtime, xattrs } = entry;
  checkOwner('uid', uid);
  checkOwner('gid', gid);
  return { mode, uid, gid, mtime, xattrs, origin };
}

function checkOwner(what: string, id: number): void {
  // The last value means “leave it as it is” to chown(2).
  if (id < 0 || id >= 0xffff_ffff) throw new Error(`its ${what} ${id} is none (0 to 4294967294)`);
}

/** A device's number as the kernel encodes it, makedev(3). */
export function deviceNumber({ major, minor }: Pick<TarEntry, 'major' | 'minor'>): number {
  if (major < 0 || major > 0xfff || minor < 0 || minor > 0xfffff)
    throw new Error(`its device number ${major}:${minor} is none`);
  return ((minor & 0xff) | (major << 8)) + (minor >>> 8) * 0x100000;
}
