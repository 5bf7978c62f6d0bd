import type { Platform } from '../../schemas/image.ts';
import type { InputFile } from '../files/input-file.ts';
import { composeImage } from '../image/compose.ts';
import { hostPlatform } from '../image/platform.ts';
import type { ImageDestination } from '../image/source.ts';
import { LayerBlob } from '../layers/blob.ts';
import { decompressor, recognize } from '../layers/compression.ts';
import type { SizeLimit } from '../layers/size-limit.ts';
import { BLOCK } from '../layers/tar/header.ts';
import { checkedArchive } from '../layers/write/check-archive.ts';
import { writeLayer } from '../layers/write/layer.ts';
import { temporaryDirectory } from '../layers/write/nameless-file.ts';
import { editBy, type MakeOptions, type NewImage, publish, ticking } from './publish.ts';

/** How an archive becomes an image. */
export interface ImportOptions extends MakeOptions {
  /** What the archive may come to; anything where undefined. */
  readonly limit?: SizeLimit;
}

const TAR = 'application/vnd.oci.image.layer.v1.tar';

/** Compressions that we can't undo, by the first bytes of what they make. */
const FOREIGN = [
  ['425a68', 'bzip2'],
  ['fd377a585a00', 'xz'],
] as const;

/**
 * Makes an image of one layer of a tar archive, which may be compressed. The archive is taken as it
 * is: the layer's diffID is its digest.
 *
 * @param platform what the image is for; this machine where undefined
 * @throws Error in one line when it is no archive, or nothing can be written
 */
export async function importArchive(
  input: InputFile,
  destination: ImageDestination,
  platform: Platform | undefined,
  options: ImportOptions,
): Promise<NewImage> {
  const edit = editBy(
    { ...options, message: options.message ?? `Imported from ${input.name}` },
    'import',
    false,
  );
  // Wrong instructions are told before anything is read.
  edit.execution({});
  const layer = await writeLayer(
    archiveIn(input, options.limit),
    options.packing,
    temporaryDirectory(),
    ticking(options),
  );
  try {
    const image = composeImage(
      undefined,
      { ...edit, layer, platform: platform ?? hostPlatform() },
      input.name,
    );
    return await publish(image, destination, options.signal);
  } finally {
    layer.close();
  }
}

/** The archive without its compression. */
async function* archiveIn(
  { name, bytes }: InputFile,
  limit: SizeLimit | undefined,
): AsyncGenerator<Uint8Array> {
  const blob = new LayerBlob(bytes(), () => undefined);
  try {
    const start = Buffer.from(await blob.peek(BLOCK)).toString('hex');
    const foreign = FOREIGN.find(([magic]) => start.startsWith(magic))?.[1];
    if (foreign !== undefined)
      throw new Error(`${name} is compressed with ${foreign}: decompress it first`);
    if (start === '') throw new Error(`${name} is empty: want a tar archive`);
    const unpack = await decompressor(recognize(Buffer.from(start, 'hex'), TAR, () => undefined));
    yield* checkedArchive(unpack(blob), name, limit);
    await blob.drain();
  } finally {
    await blob.close();
  }
}
