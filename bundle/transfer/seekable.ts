import { closeSync, statSync } from 'node:fs';
import { type InputFile, openInput } from '../files/input-file.ts';
import { LayerBlob } from '../layers/blob.ts';
import { type Compression, decompressor } from '../layers/compression.ts';
import type { SizeLimit } from '../layers/size-limit.ts';
import { openNameless, temporaryDirectory, writeNameless } from '../layers/write/nameless-file.ts';

/** An archive that can be read in any order. */
export interface SeekableArchive {
  readonly path: string;
  /** How errors call it. */
  readonly name: string;
  close(): void;
}

const MAGIC: readonly (readonly [string, Compression])[] = [
  ['1f8b', 'gzip'],
  ['28b52ffd', 'zstd'],
];

/**
 * Makes an archive one that can be read in any order: what comes through a pipe, or is compressed,
 * is put into a temporary file.
 *
 * @param path a file, a directory, or `-` for standard input
 * @param limit of what is put there
 * @throws Error in one line
 */
export async function openSeekable(
  path: string,
  signal: AbortSignal,
  limit: SizeLimit | undefined,
): Promise<SeekableArchive> {
  const status = path === '-' ? undefined : statSync(path, { throwIfNoEntry: false });
  if (status?.isDirectory()) return { path, name: path, close() {} };
  const input = openInput(path, signal);
  try {
    const blob = new LayerBlob(input.bytes(), () => undefined);
    const start = Buffer.from(await blob.peek(4)).toString('hex');
    const compression = MAGIC.find(([magic]) => start.startsWith(magic))?.[1] ?? 'none';
    if (status?.isFile() && compression === 'none') return { path, name: path, close() {} };
    return await spool(blob, compression, input, limit);
  } finally {
    input.close();
  }
}

async function spool(
  blob: LayerBlob,
  compression: Compression,
  { name }: InputFile,
  limit: SizeLimit | undefined,
): Promise<SeekableArchive> {
  const directory = temporaryDirectory();
  const fd = openNameless(directory);
  try {
    const unpack = await decompressor(compression);
    for await (const chunk of unpack(blob)) {
      limit?.inflated(chunk.byteLength);
      writeNameless(fd, chunk, directory);
    }
    return { path: `/proc/self/fd/${fd}`, name, close: () => closeSync(fd) };
  } catch (cause) {
    closeSync(fd);
    throw new Error(`${name}: ${(cause as Error).message}`, { cause });
  }
}
