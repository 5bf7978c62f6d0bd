import { createHash, type Hash } from 'node:crypto';
import { readBlob } from '../image/read-blob.ts';
import type { Image } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import { type LayerSource, readLayer } from '../layers/read-layer.ts';
import type { TarEntry } from '../layers/tar/entry.ts';
import type { TarVisitor } from '../layers/tar/reader.ts';

/** An entry of a layer's archive, in its order, with what is in the file. */
export interface LayerEntry extends TarEntry {
  /** SHA-256 of a file's content; undefined where nobody asked for it. */
  readonly content: string | undefined;
}

/** One layer of an image, for reading. @param index from 0, from the base upwards */
export function layerOf(
  source: BlobSource,
  { manifest, config }: Image,
  index: number,
): LayerSource {
  const descriptor = manifest.layers[index];
  if (descriptor === undefined) throw new Error(`there is no layer ${index + 1}`);
  const what = `layer ${index + 1} of ${manifest.layers.length}`;
  return {
    mediaType: descriptor.mediaType,
    diffId: config.rootfs.diff_ids[index] ?? '',
    describe: `${what} (${descriptor.digest})`,
    open: () => readBlob(source, descriptor, what),
  };
}

/**
 * Reads all entries of a layer, without their content.
 *
 * @param hashing whether to hash the content of files
 * @throws Error in one line, as `readLayer` does
 */
export async function entriesOf(layer: LayerSource, hashing = false): Promise<LayerEntry[]> {
  const entries: LayerEntry[] = [];
  let entry: TarEntry | undefined;
  let hash: Hash | undefined;
  let at = 0;
  const visitor: TarVisitor = {
    entry(begun) {
      entry = begun;
      at = 0;
      hash = hashing && begun.type === 'file' ? createHash('sha256') : undefined;
    },
    content(bytes, offset) {
      // Of two files of one length a hole elsewhere makes another content.
      if (offset !== at) hash?.update(`hole of ${offset - at}`);
      hash?.update(bytes);
      at = offset + bytes.byteLength;
    },
    end() {
      entries.push({ ...(entry as TarEntry), content: hash?.digest('hex') });
    },
  };
  await readLayer(layer, visitor, ignore, ignore);
  return entries;
}

const ignore = () => undefined;
