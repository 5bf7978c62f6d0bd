import { reason } from '../../runtime/linux/reason.ts';
import { hashFor, parseDigest } from '../image/digest.ts';
import { LayerBlob } from './blob.ts';
import { decompressor, recognize } from './compression.ts';
import { printable } from './names.ts';
import { EntryError } from './script.ts';
import type { SizeLimit } from './size-limit.ts';
import { BLOCK } from './tar/header.ts';
import { TarReader, type TarVisitor } from './tar/reader.ts';

/** One layer of an image. */
export interface LayerSource {
  /**
   * The blob's bytes. Errors of its iteration (unreadable, wrong digest) name the layer
   * themselves.
   */
  open(): AsyncIterable<Uint8Array>;
  readonly mediaType: string;
  /** The digest of the tar archive without its compression (image-spec, config.md). */
  readonly diffId: string;
  /** How errors call the layer, such as `layer 2 of 3 (sha256:…)`. */
  readonly describe: string;
  /** What it, and the image's other layers, may come to. */
  readonly limit?: SizeLimit;
}

/**
 * Reads a layer's blob to its end, inflates it, and compares its digests.
 *
 * @param visitor gets the entries. They may be trusted only when all has been read
 * @param count hears how many bytes of the blob were read, piece by piece
 * @param warn hears, in one line, what is wrong but does no harm
 * @throws Error in one line that names the layer, and the entry where there is one
 */
export async function readLayer(
  layer: LayerSource,
  visitor: TarVisitor,
  count: (bytes: number) => void,
  warn: (line: string) => void,
): Promise<void> {
  const blob = new LayerBlob(layer.open(), count);
  const { limit } = layer;
  const reader = new TarReader(limit === undefined ? visitor : limit.watch(visitor));
  const nameOf = () => reader.entryName;
  try {
    const digest = parseDigest(layer.diffId);
    const hash = hashFor(digest);
    const start = await blob.peek(BLOCK);
    const tell = (line: string) => warn(`${layer.describe}: ${line}`);
    const unpack = await decompressor(recognize(start, layer.mediaType, tell));
    const isHeld = (memory: ArrayBufferLike) => visitor.holds?.(memory) ?? true;
    for await (const chunk of unpack(blob, isHeld)) {
      hash.update(chunk);
      naming(nameOf, () => {
        limit?.inflated(chunk.byteLength);
        reader.push(chunk);
      });
    }
    await blob.drain();
    naming(nameOf, () => reader.finish());
    const found = hash.digest('hex');
    if (found !== digest.encoded)
      throw new Error(
        `its uncompressed content is ${digest.algorithm}:${found}, but the image's configuration has the diffID ${layer.diffId}`,
      );
  } catch (error) {
    throw await explain(error, layer, blob);
  } finally {
    await blob.close();
  }
}

/** Puts the name of the entry under way before what is wrong with it. */
export function naming(nameOf: () => Buffer | undefined, step: () => void): void {
  try {
    step();
  } catch (error) {
    const name = nameOf();
    if (error instanceof EntryError || name === undefined) throw error;
    throw new Error(`${printable(name)}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Finds the error to tell. When what a blob holds makes no sense, it may be another blob than the
 * one that was asked for: only the end of the blob tells.
 */
async function explain(error: unknown, layer: LayerSource, blob: LayerBlob): Promise<unknown> {
  if (error instanceof EntryError || blob.failure === error) return error;
  try {
    await blob.drain();
  } catch (failure) {
    return failure;
  }
  return new Error(`${layer.describe}: ${reason(error)}`, { cause: error });
}
