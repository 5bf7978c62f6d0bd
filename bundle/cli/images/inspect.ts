import { print } from '../../../runtime/linux/output.ts';
import { parsePlatform } from '../../image/platform.ts';
import { readDocument } from '../../image/read-blob.ts';
import { findImage, type Image } from '../../image/resolve.ts';
import type { ImageSource } from '../../image/source.ts';
import { factsOf, storeFactsOf } from '../../store/facts.ts';
import { openStore } from '../../store/store.ts';
import type { Input } from '../command.ts';
import { jsonText } from '../format.ts';

/** Shows all that is known of an image. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const store = openStore(input.text('store'));
  const source = await store.source(input.text('image') ?? '');
  try {
    if (input.switch('raw')) {
      print(await rawOf(source));
      return 0;
    }
    const platform = input.text('platform');
    const image = await findImage(
      source,
      platform === undefined ? undefined : parsePlatform(platform),
    );
    if (input.switch('config')) print(await configOf(source, image));
    else
      print(
        jsonText({
          ...(await factsOf(source, image)),
          store: await storeFactsOf(store, source, image),
        }),
      );
    return 0;
  } finally {
    source.close();
  }
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
