import { errnoCode, explainErrno } from '../../runtime/linux/errno.ts';
import type { Origin } from './gathered.ts';
import { PATH_LIMIT, targetComponents } from './names.ts';
import type { Xattr } from './tar/entry.ts';
import type { Time } from './tar/fields.ts';

/** What a file gets besides its content. */
export interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  readonly xattrs: readonly Xattr[];
  /** The entry that said so. */
  readonly origin: Origin;
}

export interface Directory {
  readonly kind: 'directory';
  readonly parent: Directory | undefined;
  readonly name: string;
  /** Bytes of the path from the root, with a slash before each component. */
  readonly pathLength: number;
  readonly children: Map<string, TreeNode>;
  /** The number of the layer that last had an entry for it or for something in it. */
  layer: number;
  attributes: Attributes;
}

export interface Symlink {
  readonly kind: 'symlink';
  readonly target: string;
  readonly layer: number;
}

/** Everything that has neither children nor a target. One object serves a whole layer. */
export interface Leaf {
  readonly kind: 'leaf';
  readonly layer: number;
}

/** What a name in a directory leads to. */
export type TreeNode = Directory | Symlink | Leaf;

/** Where a path leads: a directory that exists, and the components that don't (yet). */
export interface Place {
  readonly directory: Directory;
  readonly missing: readonly string[];
}

/** As many symbolic links in a path as the kernel follows, path_resolution(7). */
const LINK_LIMIT = 40;

/**
 * The root filesystem as it will be. It began empty and nobody else writes to it, so all of it
 * is known: what is where, which symbolic link leads where, what came with which layer. Paths
 * are resolved here, as a process would see them whose root this is; the kernel gets paths
 * without symbolic links, and is told to refuse any that it meets (rootfs.ts).
 */
export class Tree {
  readonly root: Directory;

  constructor(attributes: Attributes) {
    this.root = {
      kind: 'directory',
      parent: undefined,
      name: '',
      pathLength: 0,
      children: new Map(),
      layer: 0,
      attributes,
    };
  }

  /**
   * Follows a path, its last component included. `..` at the root stays there, and takes a
   * component away that doesn't exist.
   *
   * @throws Error when there are too many symbolic links
   */
  resolve(components: readonly string[]): Place {
    let directory = this.root;
    let links = 0;
    const missing: string[] = [];
    // Reversed, so that the next component is at the end.
    const ahead = components.toReversed();
    for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
      if (next === '..') {
        if (missing.length > 0) missing.pop();
        else directory = directory.parent ?? directory;
        continue;
      }
      const child = missing.length > 0 ? undefined : directory.children.get(next);
      if (child?.kind === 'directory') {
        directory = child;
      } else if (child?.kind === 'symlink') {
        if (++links > LINK_LIMIT) throw new Error(explainErrno(errnoCode('ELOOP')));
        if (child.target.startsWith('/')) directory = this.root;
        ahead.push(...targetComponents(child.target).toReversed());
      } else {
        missing.push(next);
      }
    }
    return { directory, missing };
  }

  /** The path of a directory from the root, without a slash before it; '' for the root. */
  path(directory: Directory): string {
    const components: string[] = [];
    for (let at = directory; at.parent !== undefined; at = at.parent) components.push(at.name);
    return components.reverse().join('/');
  }

  /** Says that a layer has an entry for a directory or for something in it. */
  touch(directory: Directory, layer: number): void {
    let at: Directory | undefined = directory;
    while (at !== undefined && at.layer !== layer) {
      at.layer = layer;
      at = at.parent;
    }
  }

  /**
   * Adds a directory.
   *
   * @throws Error when its path is longer than the kernel takes
   */
  addDirectory(parent: Directory, name: string, layer: number, attributes: Attributes): Directory {
    const directory: Directory = {
      kind: 'directory',
      parent,
      name,
      pathLength: childPathLength(parent, name),
      children: new Map(),
      layer,
      attributes,
    };
    parent.children.set(name, directory);
    return directory;
  }
}

/** The length of a child's path. @throws Error when it is longer than the kernel takes */
export function childPathLength(parent: Directory, name: string): number {
  const length = parent.pathLength + 1 + name.length;
  if (length > PATH_LIMIT)
    throw new Error(`its path is too long: ${length} bytes (at most ${PATH_LIMIT})`);
  return length;
}
