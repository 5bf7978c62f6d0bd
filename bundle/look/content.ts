import type { Image } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import { printable, targetComponents } from '../layers/names.ts';
import { NOWHERE } from '../layers/nowhere.ts';
import { readLayer } from '../layers/read-layer.ts';
import type { TarEntry } from '../layers/tar/entry.ts';
import type { TarVisitor } from '../layers/tar/reader.ts';
import { layerOf } from './entries.ts';
import { Locator, NeedsAllLayers } from './locate.ts';
import { ImageView } from './view.ts';

/** Bytes of a hole that are given out at once. */
const ZEROS = Buffer.alloc(256 * 1024);

/**
 * Gives the content of a file of an image.
 *
 * @param path symbolic links are followed
 * @param write gets the bytes in order. They are verified only when this has ended
 * @throws Error in one line for what is no file, and when a layer can't be read
 */
export async function contentOf(
  source: BlobSource,
  image: Image,
  path: string,
  write: (bytes: Uint8Array) => void,
): Promise<void> {
  const where = printable(Buffer.from(path));
  if (targetComponents(path).length === 0) throw new Error(`${where} is a directory`);
  const found = await locate(source, image, Buffer.from(path).toString('latin1'));
  if (found?.entry === undefined) throw new Error(`${where}: there is no such file in the image`);
  if (found.entry.type !== 'file')
    throw new Error(`${where} is a ${found.entry.type}, not a file with content`);
  const layer = layerOf(source, image, found.layer);
  await readLayer(layer, extract(found.ordinal, write), NOWHERE.endFile, NOWHERE.endFile);
}

interface Where {
  readonly entry: TarEntry | undefined;
  readonly layer: number;
  readonly ordinal: number;
}

/** From the top down where that is possible, as it nearly always is. */
async function locate(source: BlobSource, image: Image, path: string): Promise<Where | undefined> {
  try {
    return await new Locator(source, image).locate(path);
  } catch (error) {
    if (!(error instanceof NeedsAllLayers)) throw error;
  }
  return (await ImageView.of(source, image)).find(path);
}

/** Gives out one entry, its holes too. */
function extract(wanted: number, write: (bytes: Uint8Array) => void): TarVisitor {
  let ordinal = -1;
  let at = 0;
  let size = 0;
  const fill = (until: number) => {
    for (; at < until; at += Math.min(ZEROS.length, until - at))
      write(ZEROS.subarray(0, Math.min(ZEROS.length, until - at)));
  };
  return {
    entry(entry) {
      ordinal++;
      size = entry.size;
    },
    content(bytes, offset) {
      if (ordinal !== wanted) return;
      fill(offset);
      write(bytes);
      at += bytes.byteLength;
    },
    end() {
      if (ordinal === wanted) fill(size);
    },
  };
}
