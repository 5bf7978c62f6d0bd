import * as zlib from 'node:zlib';
import { throughEngine } from './inflate/engine.ts';
import { throughIsal } from './inflate/isal.ts';
import { loadIsal } from './inflate/isal-inflater.ts';
import { throughScript } from './inflate/script.ts';
import { type Compressed, plain } from './inflate/source.ts';
import { BLOCK, isZero, parseHeader } from './tar/header.ts';

/** How the bytes of a layer's blob are packed. */
export type Compression = 'none' | 'gzip' | 'zstd';

const BY_ENDING: readonly (readonly [ending: string, compression: Compression])[] = [
  ['.tar', 'none'],
  ['.tar+gzip', 'gzip'],
  ['.tar.gzip', 'gzip'],
  ['.tar+zstd', 'zstd'],
  ['.tar.zstd', 'zstd'],
];

const NAMES = {
  none: 'a tar archive without compression',
  gzip: 'compressed with gzip',
  zstd: 'compressed with zstd',
} as const;

/**
 * What a layer's media type says of its compression (image-spec, media-types.md). The types for
 * what may not be distributed, and Docker's, end like the others.
 *
 * @throws Error for a type that is no layer's
 */
export function compressionOf(mediaType: string): Compression {
  const found = BY_ENDING.find(([ending]) => mediaType.endsWith(ending));
  if (found === undefined)
    throw new Error(
      `its media type ${JSON.stringify(mediaType)} is no layer's: tar, tar+gzip and tar+zstd are`,
    );
  return found[1];
}

/**
 * Compares what a layer is said to be with its first bytes. A wrong media type does no harm, for
 * the digest of what was unpacked decides; but it is told.
 *
 * @param start the first block of the blob, or all of it
 * @returns what it really is
 * @throws Error when it is nothing that is known
 */
export function recognize(
  start: Uint8Array,
  mediaType: string,
  warn: (line: string) => void,
): Compression {
  const declared = compressionOf(mediaType);
  const found = sniff(Buffer.from(start.buffer, start.byteOffset, start.byteLength));
  if (found === undefined) {
    if (declared === 'none') return declared;
    throw new Error(
      `its media type ${mediaType} says that it is ${NAMES[declared]}, but it is neither that nor a tar archive`,
    );
  }
  if (found !== declared)
    warn(`its media type ${mediaType} is wrong: it is ${NAMES[found]}, and is unpacked as that`);
  return found;
}

function sniff(start: Buffer): Compression | undefined {
  if (start.length >= 2 && start.readUInt16BE(0) === 0x1f8b) return 'gzip';
  if (start.length >= 4) {
    const magic = start.readUInt32LE(0);
    // A frame with content, or one to skip, which tools use to keep an index.
    if (magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50) return 'zstd';
  }
  if (start.length < BLOCK) return undefined;
  const block = start.subarray(0, BLOCK);
  if (isZero(block)) return 'none';
  try {
    parseHeader(block);
    return 'none';
  } catch {
    return undefined;
  }
}

/**
 * Takes compressed bytes until it has ended; the rest is left to the caller.
 *
 * @param isHeld whether a piece that was given out in this memory is still needed, when the next
 *   is asked for; without it, all are
 */
export type Decompressor = (
  source: Compressed,
  isHeld?: (memory: ArrayBufferLike) => boolean,
) => AsyncIterable<Uint8Array>;

/**
 * Makes what unpacks a blob.
 *
 * @returns a function from compressed bytes to uncompressed ones. Its errors are one line and
 *   do not name the layer
 */
export async function decompressor(compression: Compression): Promise<Decompressor> {
  switch (compression) {
    case 'none':
      return plain;
    case 'gzip': {
      const library = loadIsal();
      if (library !== undefined) return (source, isHeld) => throughIsal(source, library, isHeld);
      return (source) => throughEngine(source, zlib.createGunzip, 'gzip');
    }
    case 'zstd': {
      // Node.js has it from 22.15 on.
      const { createZstdDecompress } = zlib as Partial<Pick<typeof zlib, 'createZstdDecompress'>>;
      if (createZstdDecompress !== undefined)
        return (source) => throughEngine(source, createZstdDecompress, 'zstd');
      const { Decompress } = await import('fzstd');
      return (source) => throughScript(source, Decompress);
    }
  }
}
