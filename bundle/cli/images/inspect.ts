import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { print } from '../../../runtime/linux/output.ts';
import type { Platform } from '../../../schemas/image.ts';
import { isMounted } from '../../existing/mount.ts';
import { type BundleRecord, bundlePath, RECORD, readRecord } from '../../existing/record.ts';
import { readDocument } from '../../image/read-blob.ts';
import { findImage, type Image } from '../../image/resolve.ts';
import type { ImageSource } from '../../image/source.ts';
import { factsOf, storeFactsOf } from '../../store/facts.ts';
import { openStore, type Store } from '../../store/store.ts';
import { openFile, openSource, parseFileLocation } from '../../transfer/locations.ts';
import type { Input } from '../command.ts';
import { checkJson, jsonText } from '../format.ts';
import { locationOptions, platformOf } from '../transfer/options.ts';

/** Shows all that is known of an image, or of a bundle. @returns the exit status */
export async function run(input: Input): Promise<number> {
  checkJson(input);
  const text = input.text('image') ?? '';
  const options = locationOptions(input);
  const platform = platformOf(input);
  // A directory with the record of a bundle is no accident; what is meant by a name may be many.
  const bundle = existsSync(join(text, RECORD)) ? readRecord(text) : undefined;
  const source = bundle === undefined ? await openSource(text, options) : await sourceOf(bundle);
  try {
    const store = openStore(bundle?.store ?? options.store);
    const image = source && (await textOf(source, platform, store, input));
    const whole = !input.switch('raw') && !input.switch('config');
    if (bundle !== undefined && whole) print(jsonText(bundleFacts(text, bundle, image)));
    else if (image !== undefined) print(image);
    else throw new Error(`the image of ${text} is gone, with its manifest and configuration`);
    return 0;
  } finally {
    source?.close();
  }
}

/** The image that a bundle was made of; undefined where it is gone. */
async function sourceOf({
  store,
  layout,
  manifest,
}: BundleRecord): Promise<ImageSource | undefined> {
  try {
    if (store !== undefined) return await openStore(store).source(manifest);
    return layout === undefined ? undefined : await openFile(parseFileLocation(layout));
  } catch {
    return undefined;
  }
}

/** @param image what `textOf` says */
function bundleFacts(bundle: string, record: BundleRecord, image: string | undefined): object {
  const path = bundlePath(bundle);
  return {
    bundle: path,
    ...record,
    ...(record.how === 'overlay' ? { mounted: isMounted(join(path, 'rootfs')) } : {}),
    from: image === undefined ? null : JSON.parse(image),
  };
}

async function textOf(
  source: ImageSource,
  platform: Platform | undefined,
  store: Store,
  input: Input,
): Promise<string> {
  if (input.switch('raw')) return rawOf(source);
  const image = await findImage(source, platform);
  if (input.switch('config')) return configOf(source, image);
  const facts = await factsOf(source, image);
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
