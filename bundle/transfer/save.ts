import type { ImageName } from '../image/name.ts';
import type { ImageSource } from '../image/source.ts';
import { type CopyOptions, copyImage } from './copy.ts';
import { type ArchiveFormat, ImageArchive } from './image-archive.ts';
import type { OutputFile } from './output-file.ts';

/** An image to be saved. */
export interface SavedImage {
  readonly source: ImageSource;
  /** What it is called when it is loaded again; undefined for an image without a name. */
  readonly name: ImageName | undefined;
}

/**
 * Writes images into one archive; what they share is in it once.
 *
 * @param output closed by the caller
 * @throws Error in one line
 */
export async function saveImages(
  images: readonly SavedImage[],
  output: OutputFile,
  format: ArchiveFormat,
  options: CopyOptions,
): Promise<void> {
  const archive = new ImageArchive(output, format);
  for (const { source, name } of images) await copyImage(source, archive.named(name), options);
  await archive.finish();
}
