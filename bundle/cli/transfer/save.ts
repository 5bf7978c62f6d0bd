import { parseName } from '../../image/name.ts';
import { openStore } from '../../store/store.ts';
import type { ArchiveFormat } from '../../transfer/image-archive.ts';
import { openOutput } from '../../transfer/output-file.ts';
import { type SavedImage, saveImages } from '../../transfer/save.ts';
import type { Input } from '../command.ts';
import { stoppable } from '../stop.ts';
import { platformsOf } from './options.ts';

/** Writes images of the store into an archive. @returns the exit status */
export function run(input: Input): Promise<number> {
  return stoppable(async (signal) => {
    const format = formatOf(input);
    const platforms = platformsOf(input);
    const store = openStore(input.text('store'));
    const images: SavedImage[] = [];
    try {
      for (const text of input.list('image')) {
        const { entry, byName } = await store.find(text);
        const name = byName && entry.name !== undefined ? parseName(entry.name) : undefined;
        images.push({ source: await store.source(text), name });
      }
      const output = openOutput(input.text('output'));
      try {
        await saveImages(images, output, format, { platforms, signal });
      } finally {
        output.close();
      }
    } finally {
      for (const { source } of images) source.close();
    }
  });
}

function formatOf(input: Input): ArchiveFormat {
  const format = input.text('format') ?? 'docker';
  if (format !== 'docker' && format !== 'oci')
    throw new Error(`--format ${JSON.stringify(format)}: want docker or oci`);
  return format;
}
