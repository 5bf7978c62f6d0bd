import type { Image } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import { LayerApplier, undescribed } from '../layers/applier.ts';
import { entryComponents, targetComponents } from '../layers/names.ts';
import { NOWHERE } from '../layers/nowhere.ts';
import { readLayer } from '../layers/read-layer.ts';
import type { TarEntry } from '../layers/tar/entry.ts';
import type { TarVisitor } from '../layers/tar/reader.ts';
import type { LayerTarget, Spot } from '../layers/target.ts';
import { type Directory, Tree } from '../layers/tree.ts';
import { layerOf } from './entries.ts';

/** What is at a path of an image. */
export interface ViewedFile {
  /** From the root, with a slash before it, one character a byte. */
  readonly path: string;
  readonly entry: TarEntry | undefined;
  /** From 0, from the base upwards, with the entry's number in the archive; -1 where none tells. */
  readonly layer: number;
  readonly ordinal: number;
  readonly isDirectory: boolean;
}

/** Where an entry stands. */
interface Place {
  readonly entry: TarEntry;
  readonly layer: number;
  readonly ordinal: number;
}

/** The files of an image, as they are when all of its layers are applied. */
export class ImageView {
  readonly #tree = new Tree(undescribed({ layer: '', name: Buffer.from('/') }));
  readonly #files = new Map<Directory, Map<string, Place>>();
  readonly #directories = new Map<Directory, Place>();

  /** Reads all layers. @throws Error in one line when one can't be read */
  static async of(source: BlobSource, image: Image): Promise<ImageView> {
    const view = new ImageView();
    for (const layer of image.manifest.layers.keys()) await view.#apply(source, image, layer);
    return view;
  }

  /**
   * What a path leads to, symbolic links followed.
   *
   * @param path one character a byte
   * @returns undefined where there is nothing
   */
  find(path: string): ViewedFile | undefined {
    const { directory, missing } = this.#tree.resolve(targetComponents(path));
    const [name] = missing;
    if (name === undefined) return this.#viewDirectory(directory);
    const there = missing.length === 1 && directory.children.get(name)?.kind === 'leaf';
    return there ? this.#viewFile(directory, name) : undefined;
  }

  /**
   * What is in a directory, by name.
   *
   * @param recursive with all that is below
   */
  *list(path: string, recursive: boolean): Generator<ViewedFile, void, undefined> {
    yield* this.#list(this.#tree.resolve(targetComponents(path)).directory, recursive);
  }

  *#list(directory: Directory, recursive: boolean): Generator<ViewedFile, void, undefined> {
    for (const name of [...directory.children.keys()].sort()) {
      const child = directory.children.get(name);
      if (child?.kind !== 'directory') yield this.#viewFile(directory, name);
      else {
        yield this.#viewDirectory(child);
        if (recursive) yield* this.#list(child, true);
      }
    }
  }

  #viewDirectory(directory: Directory): ViewedFile {
    const place = this.#directories.get(directory);
    const path = `/${this.#tree.path(directory)}`;
    return { path, entry: undefined, layer: -1, ordinal: -1, ...place, isDirectory: true };
  }

  #viewFile(directory: Directory, name: string): ViewedFile {
    const parent = this.#tree.path(directory);
    const path = parent === '' ? `/${name}` : `/${parent}/${name}`;
    const place = this.#files.get(directory)?.get(name);
    return { path, entry: undefined, layer: -1, ordinal: -1, ...place, isDirectory: false };
  }

  async #apply(source: BlobSource, image: Image, layer: number): Promise<void> {
    const reader = layerOf(source, image, layer);
    const recorder = this.#recorder();
    const applier = new LayerApplier(this.#tree, recorder, layer + 1, reader.describe);
    let ordinal = -1;
    const visitor: TarVisitor = {
      entry: (entry) => {
        ordinal++;
        recorder.place = { entry, layer, ordinal };
        applier.entry(entry);
        if (entry.type === 'directory') this.#describe(entry, { entry, layer, ordinal });
      },
      content: () => undefined,
      end: () => applier.end(),
    };
    await readLayer(reader, visitor, NOWHERE.endFile, NOWHERE.endFile);
  }

  #describe(entry: TarEntry, place: Place): void {
    const { directory, missing } = this.#tree.resolve(entryComponents(entry.name));
    if (missing.length === 0) this.#directories.set(directory, place);
  }

  #recorder(): LayerTarget & { place: Place | undefined } {
    const put = ({ directory, name }: Spot, place: Place | undefined) => {
      const files = this.#files.get(directory) ?? new Map<string, Place>();
      this.#files.set(directory, files);
      if (place !== undefined) files.set(name, place);
    };
    const own = (spot: Spot) => put(spot, recorder.place);
    const recorder: LayerTarget & { place: Place | undefined } = {
      ...NOWHERE,
      place: undefined,
      createFile: own,
      createSymlink: own,
      createNode: own,
      createHardLink: (spot, existing) =>
        put(spot, this.#files.get(existing.directory)?.get(existing.name)),
    };
    return recorder;
  }
}
