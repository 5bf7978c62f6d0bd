import { O, RESOLVE } from '../../runtime/linux/constants.ts';
import type { Argument } from '../../runtime/linux/syscall.ts';
import type { Handle } from './gathered.ts';
import type { Script } from './script.ts';
import type { Directory, Tree } from './tree.ts';

/** Descriptors kept open. Archives go through one directory after another, so few are enough. */
const KEPT = 64;

/**
 * Open descriptors of the directories that were used last. Each is opened by its path from the
 * root's descriptor, without `..` and with no symbolic link allowed anywhere: whatever the tree
 * on disk has become, the kernel does not leave the root.
 */
export class Directories {
  readonly #script: Script;
  readonly #tree: Tree;
  readonly #root: number;
  readonly #how = openHow();
  /** In the order of their last use. */
  readonly #open = new Map<Directory, Handle>();
  /** The last one: most uses are of the same. */
  #last: { readonly directory: Directory; readonly handle: Handle } | undefined;

  /** @param root a descriptor of the root filesystem's directory, closed by the caller */
  constructor(script: Script, tree: Tree, root: number) {
    this.#script = script;
    this.#tree = tree;
    this.#root = root;
  }

  /** A directory's descriptor as an argument of the script's next call. */
  use(directory: Directory): Argument {
    return directory.parent === undefined ? this.#root : this.#script.use(this.#handle(directory));
  }

  /** A directory's descriptor as a number, good until the next use of another directory. */
  number(directory: Directory): number {
    return directory.parent === undefined
      ? this.#root
      : this.#script.number(this.#handle(directory));
  }

  /** Closes what may be open of a directory that goes away. */
  forget(directory: Directory): void {
    const handle = this.#open.get(directory);
    if (handle === undefined) return;
    this.#open.delete(directory);
    if (this.#last?.directory === directory) this.#last = undefined;
    this.#script.close(handle);
  }

  #handle(directory: Directory): Handle {
    if (this.#last?.directory === directory) return this.#last.handle;
    const known = this.#open.get(directory);
    const script = this.#script;
    if (known !== undefined) this.#open.delete(directory);
    const handle =
      known ??
      script.open('openat2', [
        this.#root,
        script.text(this.#tree.path(directory)),
        this.#how,
        this.#how.byteLength,
      ]);
    this.#open.set(directory, handle);
    if (this.#open.size > KEPT) {
      const [oldest] = this.#open.keys();
      this.forget(oldest as Directory);
    }
    this.#last = { directory, handle };
    return handle;
  }
}

/** `struct open_how` of openat2(2). */
function openHow(): Uint8Array {
  const how = new DataView(new ArrayBuffer(24));
  how.setBigUint64(0, BigInt(O.RDONLY | O.DIRECTORY | O.NOFOLLOW | O.CLOEXEC), true);
  const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS;
  how.setBigUint64(16, BigInt(resolve), true);
  return new Uint8Array(how.buffer);
}
