import { openOutput } from '../files/output-file.ts';
import type { ImageName } from '../image/name.ts';
import type { ImageDestination } from '../image/source.ts';
import { ImageArchive } from './image-archive.ts';

/**
 * Writes an image into a new OCI image layout in a tar archive, which replaces what was there.
 *
 * @param path a file
 * @param tag what it is called in the layout
 * @throws Error in one line when the archive cannot be written
 */
export function ociArchiveDestination(path: string, tag: string): ImageDestination {
  const archive = new ImageArchive(openOutput(path), 'oci');
  return whole(archive, archive.tagged(tag));
}

/**
 * Writes an image as `docker save` does, see `ArchiveFormat`.
 *
 * @param path a file, which is replaced
 * @param name what the image is called; without one it is loaded as an image without a name
 */
export function dockerArchiveDestination(
  path: string,
  name: ImageName | undefined,
): ImageDestination {
  const archive = new ImageArchive(openOutput(path), 'docker');
  return { ...whole(archive, archive.named(name)), single: true };
}

/** An archive that is complete with this one image. */
function whole(archive: ImageArchive, image: ImageDestination): ImageDestination {
  return {
    ...image,
    async finish(root) {
      await image.finish(root);
      await archive.finish();
    },
    close: async () => archive.close(),
  };
}
