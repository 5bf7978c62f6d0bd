import { reason } from '../../runtime/linux/reason.ts';
import { hashFor, parseDigest } from '../image/digest.ts';
import { LayerApplier, undescribed } from './applier.ts';
import { LayerBlob } from './blob.ts';
import { decompressor, recognize } from './compression.ts';
import { printable } from './names.ts';
import { detectPrivileges, type Privileges } from './privileges.ts';
import { Rootfs } from './rootfs.ts';
import { EntryError } from './script.ts';
import { BLOCK } from './tar/header.ts';
import { TarReader, type TarVisitor } from './tar/reader.ts';
import { Tree } from './tree.ts';

export type { Privileges } from './privileges.ts';

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
}

export interface ApplyOptions {
  /** Hears how many bytes of blobs were read so far, of all layers together. */
  onProgress?(compressedBytesRead: number): void;
  /** Hears, in one line each, of what could not be kept as the image has it. */
  onWarning?(line: string): void;
  /** What may be tried; by default what this process may do (see `detectPrivileges`). */
  readonly privileges?: Privileges;
}

/**
 * Unpacks layers, the lowest first, into a directory (image-spec, layer.md: Applying
 * Changesets). Nothing is written outside of it, whatever names and links say. After an error
 * its content is of no use.
 *
 * @param rootfs an empty directory
 * @throws Error in one line that names the layer and the entry: a damaged archive or one with
 *   another diffID, an entry that can't be created, a full disk
 */
export async function applyLayers(
  rootfs: string,
  layers: readonly LayerSource[],
  options: ApplyOptions = {},
): Promise<void> {
  const warn = options.onWarning ?? (() => undefined);
  const tree = new Tree(undescribed({ layer: rootfs, name: Buffer.from('/') }));
  const disk = new Rootfs(rootfs, tree, options.privileges ?? detectPrivileges(), warn);
  let total = 0;
  const count = (bytes: number) => {
    total += bytes;
    options.onProgress?.(total);
  };
  try {
    for (const [i, layer] of layers.entries()) {
      const applier = new LayerApplier(tree, disk, i + 1, layer.describe);
      await readLayer(layer, applier, count, warn);
      disk.flush();
    }
    disk.finish();
  } finally {
    disk.close();
  }
}

/**
 * Reads a layer to its end, and checks its digests.
 *
 * @param visitor hears of its entries
 * @param count hears how many bytes of the blob were read, piece by piece
 * @param warn hears, in a line each, of what is wrong but does no harm
 * @throws Error in one line that names the layer and the entry
 */
export async function readLayer(
  layer: LayerSource,
  visitor: TarVisitor,
  count: (bytes: number) => void,
  warn: (line: string) => void,
): Promise<void> {
  const blob = new LayerBlob(layer.open(), count);
  const reader = new TarReader(visitor);
  try {
    const digest = parseDigest(layer.diffId);
    const hash = hashFor(digest);
    const start = await blob.peek(BLOCK);
    const tell = (line: string) => warn(`${layer.describe}: ${line}`);
    const unpack = await decompressor(recognize(start, layer.mediaType, tell));
    for await (const chunk of unpack(blob)) {
      hash.update(chunk);
      naming(reader, () => reader.push(chunk));
    }
    await blob.drain();
    naming(reader, () => reader.finish());
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

/** Puts the name of the entry under way before what is wrong with the archive. */
function naming(reader: TarReader, step: () => void): void {
  try {
    step();
  } catch (error) {
    if (error instanceof EntryError || reader.entryName === undefined) throw error;
    throw new Error(`${printable(reader.entryName)}: ${(error as Error).message}`, {
      cause: error,
    });
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
