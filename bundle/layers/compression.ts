import * as zlib from 'node:zlib';
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

/** Takes compressed bytes until it has ended; the rest is left to the caller. */
export type Decompressor = (source: AsyncIterator<Uint8Array>) => AsyncIterable<Uint8Array>;

/** Bytes that are given out at once. */
const CHUNK = 256 * 1024;

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
    case 'gzip':
      return (source) => throughEngine(source, zlib.createGunzip({ chunkSize: CHUNK }), 'gzip');
    case 'zstd': {
      // Node.js has it from 22.15 on.
      const { createZstdDecompress } = zlib as Partial<Pick<typeof zlib, 'createZstdDecompress'>>;
      if (createZstdDecompress !== undefined)
        return (source) =>
          throughEngine(source, createZstdDecompress({ chunkSize: CHUNK }), 'zstd');
      const { Decompress } = await import('fzstd');
      return (source) => throughScript(source, Decompress);
    }
  }
}

async function* plain(source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let next = await source.next(); next.done !== true; next = await source.next())
    yield next.value;
}

/** What zlib's engines have in common. */
type Engine = zlib.Gunzip & { readonly bytesWritten: number };

/**
 * Unpacks with an engine of the platform's, which works in a thread of its own. Whatever comes
 * after the end of what was compressed must be zeros, as some writers pad their output.
 */
async function* throughEngine(
  source: AsyncIterator<Uint8Array>,
  engine: Engine,
  format: string,
): AsyncGenerator<Uint8Array> {
  // Errors are met where its output is read; one that comes later concerns nobody.
  engine.on('error', () => undefined);
  const feeder = new Feeder(source, engine);
  const fed = feeder.run();
  try {
    for await (const chunk of engine) yield chunk as Uint8Array;
  } catch (error) {
    if (feeder.failure !== undefined) throw feeder.failure;
    throw new Error(damage(error as NodeJS.ErrnoException, format), { cause: error });
  } finally {
    engine.destroy();
    await fed;
  }
  if (feeder.failure !== undefined) throw feeder.failure;
  for (const chunk of feeder.left()) refuseContent(chunk, format);
  for await (const chunk of plain(source)) refuseContent(chunk, format);
}

function refuseContent(chunk: Uint8Array, format: string): void {
  if (chunk.some((byte) => byte !== 0))
    throw new Error(`its ${format} data is followed by something else`);
}

function damage(error: NodeJS.ErrnoException, format: string): string {
  if (error.code === 'Z_BUF_ERROR') return `its ${format} data is truncated`;
  return `its ${format} data is damaged: ${error.message}`;
}

/** Writes a source into an engine, and remembers what the engine has not taken. */
class Feeder {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #engine: Engine;
  #waiting: Uint8Array[] = [];
  /** Where what waits begins, counted in bytes of the source. */
  #start = 0;
  /** What the source threw. */
  failure: unknown;

  constructor(source: AsyncIterator<Uint8Array>, engine: Engine) {
    this.#source = source;
    this.#engine = engine;
  }

  /** Ends when the source has ended, or the engine has. Never rejects. */
  async run(): Promise<void> {
    const engine = this.#engine;
    try {
      while (!isOver(engine)) {
        const next = await this.#source.next();
        if (isOver(engine)) {
          if (next.done !== true) this.#waiting.push(next.value);
          return;
        }
        if (next.done === true) {
          engine.end();
          return;
        }
        this.#waiting.push(next.value);
        this.#forget();
        if (!engine.write(next.value)) await room(engine);
      }
    } catch (error) {
      this.failure = error;
      engine.destroy(error as Error);
    }
  }

  /** What the engine was given and has not taken, since its data had ended before. */
  left(): Uint8Array[] {
    this.#forget();
    const [first, ...others] = this.#waiting;
    if (first === undefined) return [];
    return [first.subarray(Math.max(0, this.#engine.bytesWritten - this.#start)), ...others];
  }

  #forget(): void {
    let first = this.#waiting[0];
    while (first !== undefined && this.#start + first.byteLength <= this.#engine.bytesWritten) {
      this.#start += first.byteLength;
      this.#waiting.shift();
      first = this.#waiting[0];
    }
  }
}

function isOver(engine: Engine): boolean {
  return engine.readableEnded || engine.destroyed;
}

/** Waits until an engine takes more, or never will. */
function room(engine: Engine): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of EVENTS) engine.off(event, done);
      resolve();
    };
    for (const event of EVENTS) engine.on(event, done);
  });
}

const EVENTS = ['drain', 'end', 'close', 'error'] as const;

/** Unpacks zstd in JavaScript, where the platform can't. */
async function* throughScript(
  source: AsyncIterator<Uint8Array>,
  Decompress: typeof import('fzstd').Decompress,
): AsyncGenerator<Uint8Array> {
  let unpacked: Uint8Array[] = [];
  const engine = new Decompress((chunk) => {
    unpacked.push(chunk);
  });
  const push = (chunk: Uint8Array, final: boolean): Uint8Array[] => {
    unpacked = [];
    try {
      engine.push(chunk, final);
    } catch (error) {
      const { message } = error as Error;
      if (/EOF/.test(message)) throw new Error('its zstd data is truncated', { cause: error });
      throw new Error(`its zstd data is damaged: ${message}`, { cause: error });
    }
    return unpacked;
  };
  for (let next = await source.next(); next.done !== true; next = await source.next())
    yield* push(next.value, false);
  yield* push(new Uint8Array(0), true);
}
