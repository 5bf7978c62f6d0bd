import { print } from '../../../runtime/linux/output.ts';
import type { Platform } from '../../../schemas/image.ts';
import { readDocument } from '../../image/read-blob.ts';
import { findImage, type Image } from '../../image/resolve.ts';
import type { ImageSource } from '../../image/source.ts';
import { factsOf, storeFactsOf } from '../../store/facts.ts';
import { openStore } from '../../store/store.ts';
import { openSource } from '../../transfer/locations.ts';
import type { Input } from '../command.ts';
import { jsonText } from '../format.ts';
import { locationOptions, platformOf } from '../transfer/options.ts';

/** Shows all that is known of an image. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const platform = platformOf(input);
  const source = await openSource(input.text('image') ?? '', locationOptions(input));
  try {
    print(await textOf(source, platform, input));
    return 0;
  } finally {
    source.close();
  }
}

async function textOf(
  source: ImageSource,
  platform: Platform | undefined,
  input: Input,
): Promise<string> {
  if (input.switch('raw')) return rawOf(source);
  const image = await findImage(source, platform);
  if (input.switch('config')) return configOf(source, image);
  const facts = await factsOf(source, image);
  const store = openStore(input.text('store'));
  const stored = await storeFactsOf(store, source, image);
  return jsonText(stored === undefined ? facts : { ...facts, store: stored });
}

/** What the reference leads to, byte for byte. */
async function rawOf(source: ImageSource): Promise<string> {
  const { root } = source;
  // Several images in a layout that has no name for them: nothing lists them but its index.json.
  if ('manifests' in root) return jsonText(root);
  return (await readDocument(source, root, 'image manifest')).toString();
}

async function configOf(source: ImageSource, { manifest }: Image): Promise<string> {
  return (await readDocument(source, manifest.config, 'image configuration')).toString();
}
