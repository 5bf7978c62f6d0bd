import type { Descriptor } from '../../schemas/image.ts';
import { parseDigest } from '../image/digest.ts';
import type { ImageDestination } from '../image/source.ts';
import { indexOf, REF_NAME } from './index-entries.ts';
import { TarFile } from './tar-file.ts';

/** An archive that is being written, with what has been seen of its image. */
export interface ArchiveDestination extends ImageDestination {
  readonly tar: TarFile;
}

/**
 * Writes an image into a new OCI image layout in a tar archive, which replaces what was there.
 * The same image makes the same archive.
 *
 * @param path a file
 * @param tag what it is called in the layout
 * @throws Error in one line when the archive cannot be written
 */
export function ociArchiveDestination(path: string, tag: string): ImageDestination {
  const archive = openArchive(path);
  return {
    ...archive,
    async finish(root) {
      endLayout(archive.tar, root, { [REF_NAME]: tag });
      archive.tar.finish();
    },
  };
}

/** The part of it that takes blobs. */
export function openArchive(path: string): Omit<ArchiveDestination, 'finish'> {
  const tar = new TarFile(path);
  const written = new Set<string>();
  return {
    tar,
    name: path,
    sequential: true,
    has: async ({ digest }) => written.has(digest),
    async write({ digest, size }, content) {
      await tar.add(blobName(digest), size, content);
      written.add(digest);
    },
    close: async () => tar.close(),
  };
}

/** The files of a layout that are no blobs. */
export function endLayout(
  tar: TarFile,
  root: Descriptor,
  annotations: Readonly<Record<string, string>>,
): void {
  tar.addText('index.json', JSON.stringify(indexOf(root, annotations)));
  tar.addText('oci-layout', '{"imageLayoutVersion":"1.0.0"}');
}

/** Where a layout has a blob. */
export function blobName(digest: string): string {
  const { algorithm, encoded } = parseDigest(digest);
  return `blobs/${algorithm}/${encoded}`;
}
