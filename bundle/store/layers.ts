import { closeSync, constants, existsSync, mkdirSync, openSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { syscall } from '../../runtime/linux/syscall.ts';
import { syncDirectory } from '../files/replace-file.ts';
import { discard, makeTemporary, removeStale, type Temporary } from '../files/temporary.ts';
import { chainIds } from '../image/chain.ts';
import { layerSources } from '../image/layers.ts';
import type { Image } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import { LayerApplier, undescribed } from '../layers/applier.ts';
import { OverlayLayer } from '../layers/overlay/layer.ts';
import { loadLayer } from '../layers/overlay/load.ts';
import { LayerSpool } from '../layers/overlay/spool.ts';
import type { Privileges } from '../layers/privileges.ts';
import { type LayerSource, readLayer } from '../layers/read-layer.ts';
import { Rootfs } from '../layers/rootfs.ts';
import type { SizeLimit } from '../layers/size-limit.ts';
import { Tree } from '../layers/tree.ts';
import { layerDirectory, STORE } from './files.ts';
import type { Store } from './store.ts';
import { Turns } from './turns.ts';

/**
 * Layers that are read at the same time: while one is inflated, by a thread of the engine's, another is
 * hashed and written. With 1, 2, 3 and 8 they took 142, 175, 180 and 214 MB of memory.
 */
const AT_ONCE = 2;

/** What temporary directories are for. */
const PREFIX = { layer: 'layer-', spool: 'spool-' } as const;

/** How layers are unpacked into the store. */
export interface LayerOptions {
  /** What may be tried: layers that were made with other privileges are others. */
  readonly privileges: Privileges;
  /** What the layers that are read may come to; anything where undefined. */
  readonly limit?: SizeLimit | undefined;
  /** Whether they are removed again soon: what a loss of power leaves of them does not matter. */
  readonly scratch?: boolean;
  /** Hears that a layer is about to be read; its index counts from 0. */
  onLayer?(index: number): void;
  /** Hears how many bytes of blobs were read so far, of all layers together. */
  onProgress?(compressedBytesRead: number): void;
  onWarning?(line: string): void;
  /** Stops the work, which then fails with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Unpacks those layers of an image that the store does not have unpacked. They are read, inflated
 * and compared with their digests in parallel; then, the lowest first, each is completed from those
 * below it. When all are on the disk, each is put under its chainID in one step.
 *
 * The caller has a lease on the image.
 *
 * @param source where the blobs are
 * @returns the directories of the layers, the lowest first, as an overlay mount takes them
 * @throws Error in one line, as `applyLayers` does
 */
export async function ensureLayers(
  store: Store,
  source: BlobSource,
  image: Image,
  options: LayerOptions,
): Promise<string[]> {
  const directories = chainIds(image.config.rootfs.diff_ids).map((id) =>
    layerDirectory(store.path, id, options.privileges),
  );
  const unpacking = new Unpacking(store.path, source, image, directories, options);
  await unpacking.run();
  return unpacking.paths;
}

class Unpacking {
  /** Where each layer is: beside the others, or in a temporary directory. */
  readonly paths: string[];
  /** Those that are complete, by their index. */
  readonly #made = new Map<number, Temporary>();
  readonly #directories: readonly string[];
  readonly #temporary: string;
  readonly #layers: readonly LayerSource[];
  readonly #options: LayerOptions;
  readonly #warn: (line: string) => void;
  readonly #tree: Tree;
  /** Ends all readers when one has failed. */
  readonly #stop = new AbortController();
  readonly #spools = new Map<number, Promise<Spooled>>();
  readonly #turns = new Turns(AT_ONCE);
  #bytes = 0;

  constructor(
    store: string,
    source: BlobSource,
    image: Image,
    directories: readonly string[],
    options: LayerOptions,
  ) {
    this.#directories = directories;
    this.paths = directories.map((directory) => join(directory, 'diff'));
    this.#temporary = join(store, STORE.temporary);
    this.#options = options;
    this.#warn = options.onWarning ?? (() => undefined);
    this.#tree = new Tree(undescribed({ layer: store, name: Buffer.from('/') }));
    const opened = (index: number) => {
      this.#check();
      options.onLayer?.(index);
    };
    this.#layers = layerSources(source, image, opened, options.limit);
  }

  async run(): Promise<void> {
    const missing = [...this.paths.keys()].filter((i) => !existsSync(this.paths[i] as string));
    const [first, ...others] = missing;
    if (first === undefined) return;
    for (const prefix of Object.values(PREFIX)) removeStale(this.#temporary, prefix);
    // The lowest needs no spool: all below it is known.
    const direct = this.#turns.take();
    for (const i of others) this.#begin(i);
    try {
      await direct;
      for (let i = 0; i <= (missing.at(-1) as number); i++) {
        if (missing.includes(i)) await this.#unpack(i);
        else this.#load(i);
      }
      this.#commit();
    } finally {
      this.#stop.abort();
      this.#turns.end();
      await this.#discardSpools();
      for (const temporary of this.#made.values()) discard(temporary);
    }
  }

  /** Puts what was made in its place. */
  #commit(): void {
    const parent = dirname(this.#directories[0] as string);
    if (!this.#options.scratch) syncFileSystem(parent);
    for (const [i, temporary] of this.#made) {
      const directory = this.#directories[i] as string;
      commit(temporary, directory);
      this.#made.delete(i);
      this.paths[i] = join(directory, 'diff');
    }
    if (!this.#options.scratch) syncDirectory(parent);
  }

  #load(i: number): void {
    loadLayer(this.#tree, i + 1, this.paths[i] as string, this.#options.privileges);
  }

  /** Begins to read a layer whose lower layers are not there yet. */
  #begin(i: number): void {
    const spooled = this.#turns.take().then(() => this.#spool(i));
    spooled.catch((error: unknown) => this.#stop.abort(error));
    this.#spools.set(i, spooled);
  }

  async #spool(i: number): Promise<Spooled> {
    const layer = this.#layers[i] as LayerSource;
    let temporary: Temporary | undefined;
    let spool: LayerSpool | undefined;
    try {
      this.#check();
      temporary = makeTemporary(this.#temporary, PREFIX.spool);
      const path = join(temporary.parent, temporary.name);
      spool = new LayerSpool(path, layer.describe, this.#options.privileges, this.#warn);
      await readLayer(layer, spool, (bytes) => this.#count(bytes), this.#warn);
      spool.flush();
      return { spool, temporary };
    } catch (error) {
      spool?.close();
      if (temporary !== undefined) discard(temporary);
      throw error;
    } finally {
      this.#turns.pass();
    }
  }

  async #unpack(i: number): Promise<void> {
    const temporary = makeTemporary(this.#temporary, PREFIX.layer);
    this.#made.set(i, temporary);
    const path = join(temporary.parent, temporary.name, 'diff');
    await this.#fill(i, path);
    this.paths[i] = path;
  }

  async #fill(i: number, path: string): Promise<void> {
    const { privileges } = this.#options;
    const layer = this.#layers[i] as LayerSource;
    mkdirSync(path, { mode: 0o700 });
    const target =
      i === 0
        ? new Rootfs(path, this.#tree, privileges, this.#warn)
        : new OverlayLayer(path, this.paths.slice(0, i), this.#tree, privileges, this.#warn);
    try {
      const applier = new LayerApplier(this.#tree, target, i + 1, layer.describe);
      const spooled = this.#spools.get(i);
      if (spooled !== undefined) (await spooled).spool.replay(applier, target);
      else {
        try {
          await readLayer(layer, applier, (bytes) => this.#count(bytes), this.#warn);
        } finally {
          this.#turns.pass();
        }
      }
      target.finish();
    } finally {
      target.close();
    }
  }

  async #discardSpools(): Promise<void> {
    for (const result of await Promise.allSettled(this.#spools.values())) {
      if (result.status === 'rejected') continue;
      result.value.spool.close();
      discard(result.value.temporary);
    }
  }

  #count(bytes: number): void {
    this.#check();
    this.#bytes += bytes;
    this.#options.onProgress?.(this.#bytes);
  }

  #check(): void {
    this.#options.signal?.throwIfAborted();
    this.#stop.signal.throwIfAborted();
  }
}

/** Waits until all of a file system is on the disk, since files one by one take far longer. */
function syncFileSystem(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    syscall('syncfs', fd);
  } catch (error) {
    throw new Error(`cannot write the layers to ${directory}: ${reason(error)}`, { cause: error });
  } finally {
    closeSync(fd);
  }
}

/** A layer that was read, and waits for those below it. */
interface Spooled {
  readonly spool: LayerSpool;
  readonly temporary: Temporary;
}

/** Puts a layer in its place, unless another process was faster: then it is the same there. */
function commit(temporary: Temporary, directory: string): void {
  try {
    renameSync(join(temporary.parent, temporary.name), directory);
  } catch (error) {
    if (!['EEXIST', 'ENOTEMPTY'].includes(codeOf(error) ?? ''))
      throw new Error(`cannot put the layer at ${directory}: ${reason(error)}`, { cause: error });
    discard(temporary);
    return;
  }
  closeSync(temporary.lock);
}
