import { type HistoryLine, historyOf } from '../image/history.ts';
import type { Image } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import { LayerApplier, undescribed } from '../layers/applier.ts';
import { NOWHERE } from '../layers/nowhere.ts';
import { readLayer } from '../layers/read-layer.ts';
import type { LayerTarget, Spot } from '../layers/target.ts';
import { type Directory, Tree } from '../layers/tree.ts';
import { layerOf } from './entries.ts';

/** What a layer did to a path. */
export interface Deed {
  /** The layer's number, from the base upwards, from 1. */
  readonly layer: number;
  readonly what: 'created' | 'changed' | 'deleted';
  /** Bytes of a file's content, of which the layer has a copy. */
  readonly size?: number;
}

/** What became of a path from layer to layer, the oldest first. */
export interface PathHistory {
  /** From the root, with a slash before it, one character a byte. */
  readonly path: string;
  readonly deeds: readonly Deed[];
}

/** A layer, and what is of no use in it. */
export interface LayerBlame {
  readonly layer: number;
  readonly digest: string;
  readonly history: HistoryLine;
  /** Bytes of the content of all its files. */
  readonly bytes: number;
  /** Bytes of those files that later layers replace or delete: nobody ever sees them. */
  readonly wasted: number;
  /** How many paths it created, changed and deleted. */
  readonly created: number;
  readonly changed: number;
  readonly deleted: number;
}

/** What the layers of an image did. */
export interface Blame {
  readonly layers: readonly LayerBlame[];
  readonly paths: readonly PathHistory[];
}

/**
 * Finds out which layer created, changed or deleted each path of an image, by applying its layers
 * one after the other, without making files of them.
 *
 * @throws Error in one line when a layer can't be read
 */
export async function blame(source: BlobSource, image: Image): Promise<Blame> {
  const tree = new Tree(undescribed({ layer: '', name: Buffer.from('/') }));
  const record = new DeedRecord(tree);
  for (const index of image.manifest.layers.keys()) {
    const layer = layerOf(source, image, index);
    record.beginLayer(index + 1);
    const applier = new LayerApplier(tree, record, index + 1, layer.describe);
    await readLayer(layer, applier, NOWHERE.endFile, NOWHERE.endFile);
  }
  const steps = historyOf(image).filter(({ layer }) => layer !== undefined);
  const layers = steps.map((history, index) => ({
    layer: index + 1,
    digest: history.layer?.digest ?? '',
    history,
    ...record.totalsOf(index + 1),
  }));
  return { layers, paths: record.paths() };
}

/** The content of a file, which may have several names. */
interface Content {
  readonly layer: number;
  readonly size: number;
  links: number;
}

type Totals = Omit<LayerBlame, 'layer' | 'digest' | 'history'>;

/** Notes what layers do. */
class DeedRecord implements LayerTarget {
  readonly #tree: Tree;
  readonly #deeds = new Map<string, Deed[]>();
  readonly #contents = new Map<string, Content>();
  readonly #wasted: number[] = [];
  readonly #bytes: number[] = [];
  #layer = 0;

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  beginLayer(number: number): void {
    this.#layer = number;
    this.#bytes[number] = 0;
    this.#wasted[number] = 0;
  }

  totalsOf(layer: number): Totals {
    const deeds = [...this.#deeds.values()].flat().filter((deed) => deed.layer === layer);
    const count = (what: Deed['what']) => deeds.filter((deed) => deed.what === what).length;
    return {
      bytes: this.#bytes[layer] ?? 0,
      wasted: this.#wasted[layer] ?? 0,
      created: count('created'),
      changed: count('changed'),
      deleted: count('deleted'),
    };
  }

  paths(): PathHistory[] {
    return [...this.#deeds]
      .map(([path, deeds]) => ({ path, deeds }))
      .sort((one, other) => (one.path < other.path ? -1 : 1));
  }

  begin(): void {}
  write(): void {}
  endFile(): void {}

  createFile(spot: Spot, _attributes: unknown, size: number): void {
    const path = this.#pathOf(spot);
    this.#contents.set(path, { layer: this.#layer, size, links: 1 });
    this.#bytes[this.#layer] = (this.#bytes[this.#layer] ?? 0) + size;
    this.#created(path, size);
  }

  createHardLink(spot: Spot, existing: Spot): void {
    const content = this.#contents.get(this.#pathOf(existing));
    const path = this.#pathOf(spot);
    if (content !== undefined) {
      content.links++;
      this.#contents.set(path, content);
    }
    this.#created(path);
  }

  createDirectory(spot: Spot): void {
    this.#created(this.#pathOf(spot));
  }

  createSymlink(spot: Spot): void {
    this.#created(this.#pathOf(spot));
  }

  createNode(spot: Spot): void {
    this.#created(this.#pathOf(spot));
  }

  unlink(spot: Spot): void {
    const path = this.#pathOf(spot);
    const content = this.#contents.get(path);
    this.#contents.delete(path);
    if (content !== undefined && --content.links === 0)
      this.#wasted[content.layer] = (this.#wasted[content.layer] ?? 0) + content.size;
    this.#gone(path);
  }

  removeDirectory(directory: Directory): void {
    this.#gone(`/${this.#tree.path(directory)}`);
  }

  describe(directory: Directory): void {
    const path = `/${this.#tree.path(directory)}`;
    const deeds = this.#deeds.get(path) ?? [];
    if (deeds.at(-1)?.layer !== this.#layer) deeds.push({ layer: this.#layer, what: 'changed' });
    this.#deeds.set(path, deeds);
  }

  #pathOf({ directory, name }: Spot): string {
    const parent = this.#tree.path(directory);
    return parent === '' ? `/${name}` : `/${parent}/${name}`;
  }

  /** What was deleted by the same layer before was replaced. */
  #created(path: string, size?: number): void {
    const deeds = this.#deeds.get(path) ?? [];
    const last = deeds.at(-1);
    const replaced = last?.what === 'deleted' && last.layer === this.#layer;
    if (replaced) deeds.pop();
    const again = replaced && deeds.length > 0;
    deeds.push({
      layer: this.#layer,
      what: again ? 'changed' : 'created',
      ...(size === undefined ? {} : { size }),
    });
    this.#deeds.set(path, deeds);
  }

  /** What the same layer made and took away again was never there. */
  #gone(path: string): void {
    const deeds = this.#deeds.get(path) ?? [];
    const own = deeds.at(-1)?.layer === this.#layer ? deeds.pop() : undefined;
    if (own?.what !== 'created' || deeds.length > 0)
      deeds.push({ layer: this.#layer, what: 'deleted' });
    if (deeds.length === 0) this.#deeds.delete(path);
    else this.#deeds.set(path, deeds);
  }
}
