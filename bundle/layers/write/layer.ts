import { createHash } from 'node:crypto';
import { closeSync } from 'node:fs';
import type { Descriptor, Digest } from '../../../schemas/image.ts';
import type { Compression } from '../compression.ts';
import { compress, type Packing } from './compress.ts';
import { openNameless, writeNameless } from './nameless-file.ts';

const MEDIA_TYPES: Readonly<Record<Compression, string>> = {
  none: 'application/vnd.oci.image.layer.v1.tar',
  gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
};

/** A layer that was written to a file without a name, which goes with its descriptor. */
export interface WrittenLayer {
  readonly descriptor: Descriptor;
  /** The digest of the archive without its compression (image-spec, config.md). */
  readonly diffId: Digest;
  /** Where its bytes are; they begin at 0. */
  readonly fd: number;
  close(): void;
}

/**
 * Compresses a tar archive into a file, and hashes it on the way: before compression and after.
 *
 * @param tar the archive's bytes; what is made of them is read as they come
 * @param directory where there is room for the layer; nothing is left there, whatever happens
 * @param tick hears now and then how many bytes of the archive were read; what it throws stops the
 *   work
 * @throws Error in one line: what the archive's bytes throw, or a full disk
 */
export async function writeLayer(
  tar: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  packing: Packing,
  directory: string,
  tick: (bytes: number) => void = () => undefined,
): Promise<WrittenLayer> {
  const fd = openNameless(directory);
  try {
    const plain = createHash('sha256');
    const packed = createHash('sha256');
    let size = 0;
    for await (const chunk of compress(hashing(tar, plain, tick), packing)) {
      packed.update(chunk);
      writeNameless(fd, chunk, directory);
      size += chunk.byteLength;
    }
    const mediaType = MEDIA_TYPES[packing.compression];
    const digest: Digest = `sha256:${packed.digest('hex')}`;
    const diffId: Digest = `sha256:${plain.digest('hex')}`;
    return { descriptor: { mediaType, digest, size }, diffId, fd, close: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

async function* hashing(
  source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  hash: { update(bytes: Uint8Array): unknown },
  tick: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.byteLength;
    tick(bytes);
    hash.update(chunk);
    yield chunk;
  }
}
