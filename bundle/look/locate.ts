import type { Image } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import { entryComponents, latin1, OPAQUE, targetComponents, WHITEOUT } from '../layers/names.ts';
import { entriesOf, type LayerEntry, layerOf } from './entries.ts';

/** A file of an image, and where its content is. */
export interface Located {
  readonly entry: LayerEntry;
  /** From 0, from the base upwards. */
  readonly layer: number;
  /** The entry's number in the layer's archive, from 0. */
  readonly ordinal: number;
}

/** A layer can't be looked at alone: it relies on directories, or links, of those below it. */
export class NeedsAllLayers extends Error {}

/** As many symbolic links in a path as the kernel follows, path_resolution(7). */
const LINK_LIMIT = 40;

/** What a layer has, by its paths. */
interface LayerNames {
  readonly entries: ReadonlyMap<string, Omit<Located, 'layer'>>;
  /** Paths that lower layers have no more. */
  readonly hidden: ReadonlySet<string>;
  /** Directories in which lower layers have nothing any more. */
  readonly opaque: ReadonlySet<string>;
}

/**
 * Looks for files from the top layer down, and reads no layer below the one that has them.
 */
export class Locator {
  readonly #source: BlobSource;
  readonly #image: Image;
  readonly #layers = new Map<number, LayerNames>();

  constructor(source: BlobSource, image: Image) {
    this.#source = source;
    this.#image = image;
  }

  /**
   * Finds what a path leads to, symbolic links followed.
   *
   * @param path one character a byte; it begins at the root
   * @returns undefined where there is nothing
   * @throws NeedsAllLayers where the layers' names alone do not tell
   */
  async locate(path: string): Promise<Located | undefined> {
    let wanted = normal(targetComponents(path));
    let top = this.#image.manifest.layers.length - 1;
    for (let links = 0; links <= LINK_LIMIT; ) {
      const found = await this.#find(wanted, top);
      if (found === undefined) return undefined;
      const { at, located } = found;
      const { type, linkName } = located.entry;
      if (type === 'hard link') {
        // Another name of what was there when this layer was applied.
        wanted = entryComponents(linkName);
        top = located.layer;
        links++;
        continue;
      }
      if (type !== 'symbolic link') return at === wanted.length ? located : undefined;
      const target = latin1(linkName);
      const start = target.startsWith('/') ? [] : wanted.slice(0, at - 1);
      const above = [...start, ...targetComponents(target)];
      // A component before `..` may be a link itself.
      if (above.includes('..') && !(await this.#areDirectories(above)))
        throw new NeedsAllLayers('a link leads through a link');
      wanted = normal([...above, ...wanted.slice(at)]);
      top = this.#image.manifest.layers.length - 1;
      links++;
    }
    return undefined;
  }

  /** Whether `..` in a path only takes directories away. */
  async #areDirectories(components: readonly string[]): Promise<boolean> {
    for (const [i, component] of components.entries()) {
      if (component !== '..') continue;
      const before = normal(components.slice(0, i));
      if (before.length === 0) continue;
      const found = await this.#find(before, this.#image.manifest.layers.length - 1);
      if (found?.located.entry.type !== 'directory') return false;
    }
    return true;
  }

  /**
   * Finds the first of a path's components, from the root on, that is no directory, or its last.
   *
   * @returns how many components lead to it
   */
  async #find(
    wanted: readonly string[],
    top: number,
  ): Promise<{ readonly at: number; readonly located: Located } | undefined> {
    for (let layer = top; layer >= 0; layer--) {
      const { entries, hidden, opaque } = await this.#namesOf(layer);
      let covered = opaque.has('');
      for (let at = 1; at <= wanted.length; at++) {
        const path = wanted.slice(0, at).join('/');
        const found = entries.get(path);
        if (found !== undefined && (at === wanted.length || found.entry.type !== 'directory'))
          return { at, located: { ...found, layer } };
        covered ||= hidden.has(path) || (at < wanted.length && opaque.has(path));
      }
      if (covered) return undefined;
    }
    return undefined;
  }

  async #namesOf(layer: number): Promise<LayerNames> {
    const known = this.#layers.get(layer);
    if (known !== undefined) return known;
    const names = namesOf(await entriesOf(layerOf(this.#source, this.#image, layer)));
    this.#layers.set(layer, names);
    return names;
  }
}

/** @throws NeedsAllLayers for a layer that does not say what the parents of its entries are */
function namesOf(list: readonly LayerEntry[]): LayerNames {
  const entries = new Map<string, Omit<Located, 'layer'>>();
  const hidden = new Set<string>();
  const opaque = new Set<string>();
  const directories = new Set<string>(['']);
  for (const [ordinal, entry] of list.entries()) {
    const components = entryComponents(entry.name);
    const path = components.join('/');
    const name = components.pop() ?? '';
    const parent = components.join('/');
    if (!directories.has(parent)) throw new NeedsAllLayers(`${path} has no parent in its layer`);
    if (name === OPAQUE) opaque.add(parent);
    else if (name.startsWith(WHITEOUT))
      hidden.add([...components, name.slice(WHITEOUT.length)].join('/'));
    else entries.set(path, { entry, ordinal });
    if (entry.type === 'directory') directories.add(path);
    else directories.delete(path);
  }
  return { entries, hidden, opaque };
}

/** Components without `..`, which takes away the one before it, or nothing at the root. */
function normal(components: readonly string[]): string[] {
  const cleaned: string[] = [];
  for (const component of components)
    if (component === '..') cleaned.pop();
    else cleaned.push(component);
  return cleaned;
}
