import type { DiskFile, TreeFile } from './disk-file.ts';

/**
 * How a file of a tree differs from the layers below it. `linked` is unchanged itself, but
 * another name of a file that is not, and comes with it so that they stay one file.
 */
export type ChangeKind = 'added' | 'changed' | 'deleted' | 'linked';

/** A difference of a tree from what is below it. */
export interface Change {
  readonly kind: ChangeKind;
  /** Below the root, without a slash at either end, one character a byte; '' is the root. */
  readonly path: string;
  /** What is there now; undefined for what was deleted. */
  readonly file: DiskFile | undefined;
  /** Whether it is here only as a parent of other changes. */
  readonly parent: boolean;
}

/** How trees are compared. */
export interface CompareOptions {
  /**
   * Whether the tree is an overlay's upper directory: what it does not have, and no whiteout
   * hides, is as it was.
   */
  readonly upper: boolean;
  /** Paths that do not belong to the image, with all below them: mounts and volumes. */
  readonly excluded: readonly string[];
  /** Compares content where all else is the same. */
  sameContent(file: DiskFile, lower: TreeFile): boolean;
}

/** A name of a file that has several. */
interface Name {
  readonly file: DiskFile;
  /** The directories that it is in, the root first. */
  readonly parents: readonly DiskFile[];
}

/**
 * Finds what a tree has changed of the layers that it began with (image-spec, layer.md: Change
 * Types). As in `docker diff`, the times of a directory are no change, and the parents of a
 * change are changed.
 *
 * @param top the root of the tree
 * @param lower the root of what it began with
 * @returns changes in the order in which a layer has them: parents first, in a directory what
 *   was deleted first, then by the bytes of their names
 */
export function compareTrees(
  top: DiskFile,
  lower: TreeFile,
  options: CompareOptions,
): readonly Change[] {
  const comparison = new Comparison(options);
  const changes = comparison.run(top, lower);
  return changes.sort((a, b) => compareText(orderKey(a), orderKey(b)));
}

class Comparison {
  readonly #options: CompareOptions;
  readonly #excluded: ReadonlySet<string>;
  /** Directories that lead to what is excluded. */
  readonly #leading: ReadonlySet<string>;
  readonly #names = new Map<string, Name[]>();
  /** Which files of several names belong together, by the identity of either. */
  readonly #pairs = new Map<unknown, unknown>();

  constructor(options: CompareOptions) {
    this.#options = options;
    this.#excluded = new Set(options.excluded);
    this.#leading = new Set(options.excluded.flatMap(parentsOf));
  }

  run(top: DiskFile, lower: TreeFile): Change[] {
    const inside = this.#visit(top, lower, []);
    const changed = this.#statusDiffers(top, lower);
    if (inside.length === 0 && !changed) return [];
    const root: Change = { kind: 'changed', path: '', file: top, parent: !changed };
    return this.#withLinks([root, ...inside]);
  }

  #visit(directory: DiskFile, lower: TreeFile | undefined, above: readonly DiskFile[]): Change[] {
    const parents = [...above, directory];
    const below = lower?.type === 'directory' ? lower.children() : undefined;
    const present = directory.children();
    const changes: Change[] = [];
    for (const file of present.values())
      if (!this.#excluded.has(file.path))
        changes.push(...this.#compare(file, below?.get(nameOf(file.path)), parents));
    if (this.#options.upper && !directory.opaque) return changes;
    for (const name of below?.keys() ?? []) {
      const path = join(directory.path, name);
      if (!present.has(name) && !this.#excluded.has(path)) changes.push(deletion(path));
    }
    return changes;
  }

  #compare(file: DiskFile, lower: TreeFile | undefined, parents: readonly DiskFile[]): Change[] {
    const { path, type } = file;
    // A socket means something only to the process that made it: no archive can hold it.
    if (type === 'whiteout' || type === 'socket')
      return lower === undefined ? [] : [deletion(path)];
    if (file.links > 1 && type !== 'directory') this.#note({ file, parents });
    const inside = type === 'directory' ? this.#visit(file, lower, parents) : [];
    if (lower === undefined) {
      // What runtimes make to mount something on is not of the container's own doing.
      if (inside.length === 0 && this.#leading.has(path)) return [];
      return [{ kind: 'added', path, file, parent: false }, ...inside];
    }
    const changed = this.#differs(file, lower);
    if (!changed && inside.length === 0) return [];
    return [{ kind: 'changed', path, file, parent: !changed }, ...inside];
  }

  #differs(file: DiskFile, lower: TreeFile): boolean {
    if (this.#statusDiffers(file, lower)) return true;
    if (file.type === 'directory') return false;
    if (file.mtime.seconds !== lower.mtime.seconds) return true;
    if (file.mtime.nanoseconds !== lower.mtime.nanoseconds) return true;
    if (file.type === 'symbolic link' && file.target() !== lower.target()) return true;
    if (file.type === 'file' && file.size > 0 && !this.#options.sameContent(file, lower))
      return true;
    return !this.#pairUp(file, lower);
  }

  #statusDiffers(file: DiskFile, lower: TreeFile): boolean {
    return (
      file.type !== lower.type ||
      // Linux has no modes of symbolic links; archives have any.
      (file.mode !== lower.mode && file.type !== 'symbolic link') ||
      file.uid !== lower.uid ||
      file.gid !== lower.gid ||
      file.size !== lower.size ||
      file.major !== lower.major ||
      file.minor !== lower.minor ||
      !sameXattrs(file, lower)
    );
  }

  /** Whether all names of one file were names of one file before, as far as they are known. */
  #pairUp(file: DiskFile, lower: TreeFile): boolean {
    if (file.links === 1 && lower.links === 1) return true;
    const [now, before] = [`now ${file.identity}`, lower.identity];
    const [known, other] = [this.#pairs.get(now), this.#pairs.get(before)];
    if (known === undefined && other === undefined) {
      this.#pairs.set(now, before);
      this.#pairs.set(before, now);
      return true;
    }
    return known === before && other === now;
  }

  #note(name: Name): void {
    const names = this.#names.get(name.file.identity);
    if (names === undefined) this.#names.set(name.file.identity, [name]);
    else names.push(name);
  }

  /** Adds the other names of files that changed. */
  #withLinks(changes: readonly Change[]): Change[] {
    const byPath = new Map(changes.map((change) => [change.path, change]));
    for (const { file } of changes) {
      if (file === undefined) continue;
      for (const name of this.#names.get(file.identity) ?? []) {
        for (const one of [...name.parents, name.file])
          if (!byPath.has(one.path))
            byPath.set(one.path, { kind: 'linked', path: one.path, file: one, parent: false });
      }
    }
    return [...byPath.values()];
  }
}

function sameXattrs({ xattrs: left }: DiskFile, { xattrs: right }: TreeFile): boolean {
  return (
    left.length === right.length &&
    left.every(({ name, value }, i) => {
      const other = right[i];
      return other !== undefined && name.equals(other.name) && value.equals(other.value);
    })
  );
}

function deletion(path: string): Change {
  return { kind: 'deleted', path, file: undefined, parent: false };
}

/** Sorts as `compareTrees` promises: NUL, which is in no name, is less than all that is. */
function orderKey({ kind, path }: Change): string {
  const key = path.replaceAll('/', '\0');
  if (kind !== 'deleted') return key;
  const at = key.lastIndexOf('\0') + 1;
  return `${key.slice(0, at)}\0${key.slice(at)}`;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** All directories that a path is in, but for the root. */
function parentsOf(path: string): string[] {
  const components = path.split('/');
  return components.slice(1).map((_, i) => components.slice(0, i + 1).join('/'));
}
