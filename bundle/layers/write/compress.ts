import { pipeline, Readable, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import type { Compression } from '../compression.ts';

/** What a layer's blob is to be packed with, and how hard to try. */
export interface Packing {
  readonly compression: Compression;
  /** gzip: 0 to 9; zstd: 1 to 19. What is usual where undefined: 6 and 3. */
  readonly level?: number | undefined;
}

const LEVELS = { gzip: [0, 9], zstd: [1, 19] } as const;

/** Where a gzip header tells the system that wrote it (RFC 1952), and the value for “any”. */
const GZIP_OS = 9;
const UNKNOWN_OS = 255;

/** `ZSTD_c_compressionLevel` and `ZSTD_c_checksumFlag` of zstd.h. */
const ZSTD = { level: 100, checksum: 201 } as const;

/** Bytes that are given out at once. */
const CHUNK = 256 * 1024;

/**
 * Reads what a user says of compression.
 *
 * @param compression `gzip`, `zstd` or `none`; gzip where undefined
 * @param level a whole number
 * @throws Error for other values, naming those that are allowed
 */
export function parsePacking(compression = 'gzip', level?: string): Packing {
  if (compression !== 'gzip' && compression !== 'zstd' && compression !== 'none')
    throw new Error(`--compress ${JSON.stringify(compression)}: want gzip, zstd or none`);
  if (level === undefined) return { compression };
  if (compression === 'none') throw new Error('--level: there is none without compression');
  const [least, most] = LEVELS[compression];
  const value = Number(level);
  if (!/^\d+$/.test(level) || value < least || value > most)
    throw new Error(`--level ${JSON.stringify(level)}: ${compression} has ${least} to ${most}`);
  return { compression, level: value };
}

/**
 * Compresses bytes; equal ones become equal ones in the same build. The platform's engines do
 * it, in a thread of their own.
 *
 * @throws Error in one line for zstd where the platform can't write it
 */
export async function* compress(
  source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { compression, level }: Packing,
): AsyncGenerator<Uint8Array> {
  if (compression === 'none') {
    yield* source;
    return;
  }
  const engine = compression === 'gzip' ? gzip(level) : zstd(level);
  // Errors, of either, are met where the output is read.
  pipeline(Readable.from(source), engine, () => undefined);
  let first = compression === 'gzip';
  for await (const chunk of engine) {
    if (first) (chunk as Uint8Array)[GZIP_OS] = UNKNOWN_OS;
    first = false;
    yield chunk as Uint8Array;
  }
}

function gzip(level = 6): Transform {
  return zlib.createGzip({ level, chunkSize: CHUNK });
}

function zstd(level = 3): Transform {
  const { createZstdCompress } = zlib as unknown as {
    createZstdCompress?: (options: object) => Transform;
  };
  if (createZstdCompress === undefined)
    throw new Error(
      'this engine cannot write zstd: use build/scow, Node.js from 22.15 on, or --compress gzip',
    );
  return createZstdCompress({
    chunkSize: CHUNK,
    params: { [ZSTD.level]: level, [ZSTD.checksum]: 1 },
  });
}
