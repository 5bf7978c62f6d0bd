import { openOutput } from '../../files/output-file.ts';
import { formatName, parseName } from '../../image/name.ts';
import { openStore } from '../../store/store.ts';
import type { ArchiveFormat } from '../../transfer/image-archive.ts';
import { type SavedImage, saveImages } from '../../transfer/save.ts';
import type { Input } from '../command.ts';
import { stoppable } from '../stop.ts';
import { platformsOf } from './options.ts';
import { type CopyReporter, copyReporter } from './reporter.ts';

/** Writes images of the store into an archive. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const json = input.switch('json') ?? false;
  if (json && [undefined, '-'].includes(input.text('output')))
    throw new Error('--json: standard output is for the archive: name a file with -o');
  const reporter = copyReporter({ json, quiet: input.switch('quiet') ?? false });
  return stoppable((signal) => save(input, reporter, signal), { reporter });
}

async function save(input: Input, observer: CopyReporter, signal: AbortSignal): Promise<void> {
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
      const options = { platforms, observer, signal };
      await saveImages(images, output, format, options, ({ name, source }, result) =>
        observer.end(name === undefined ? source.name : formatName(name), result),
      );
    } finally {
      output.close();
    }
  } finally {
    for (const { source } of images) source.close();
  }
}

function formatOf(input: Input): ArchiveFormat {
  const format = input.text('format') ?? 'docker';
  if (format !== 'docker' && format !== 'oci')
    throw new Error(`--format ${JSON.stringify(format)}: want docker or oci`);
  return format;
}
