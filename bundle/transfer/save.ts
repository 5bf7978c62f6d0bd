import type { OutputFile } from '../files/output-file.ts';
import type { ImageName } from '../image/name.ts';
import type { ImageSource } from '../image/source.ts';
import { type CopyOptions, type CopyResult, copyImage } from './copy.ts';
import { type ArchiveFormat, ImageArchive } from './image-archive.ts';

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
 * @param saved hears of each image when it is written
 * @throws Error in one line
 */
export async function saveImages(
  images: readonly SavedImage[],
  output: OutputFile,
  format: ArchiveFormat,
  options: CopyOptions,
  saved: (image: SavedImage, result: CopyResult) => void,
): Promise<void> {
  const archive = new ImageArchive(output, format);
  for (const image of images)
    saved(image, await copyImage(image.source, archive.named(image.name), options));
  await archive.finish();
}
