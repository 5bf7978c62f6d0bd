import { join } from 'node:path';
import { scowBundle } from '../../../helpers/bundler.ts';
import { digestOf, forPlatform, MEDIA } from '../../../helpers/layout.ts';
import { store } from '../../../helpers/places/store-per-test.ts';
import { imageBlobs, once, type Stored } from '../../../helpers/stored.ts';

/** Runs scow-bundle on the store, which must succeed. @returns what it prints */
export function bundler(...args: string[]): string {
  const { status, stdout, stderr } = scowBundle(['--store', store.path, ...args]);
  if (status !== 0 || stderr !== '')
    throw new Error(`${args.join(' ')}: ${status} ${stderr}${stdout}`);
  return stdout;
}

/** Runs scow-bundle on the store, which must fail. @returns what it says */
export function failing(...args: string[]): string {
  const { status, stdout, stderr } = scowBundle([...args, '--store', store.path]);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  return stderr;
}

/** The file of a blob. */
export const fileOf = (digest: string) => join(store.path, 'blobs', digest.replace(':', '/'));
/** A digest as tables show it. */
export const short = (digest: string) => digest.slice(7, 19);
/** An image for two platforms, of which the store may have both or one. */
export async function putIndex(name: string, ...platforms: string[]): Promise<Stored[]> {
  const images = platforms.map((platform) =>
    imageBlobs({ config: { architecture: platform, author: name } }),
  );
  const manifests = images.map(({ manifest }, i) =>
    forPlatform(manifest, `linux/${platforms[i] as string}`),
  );
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests }),
  );
  const destination = await store.destination(name);
  for (const [descriptor, content] of images.flatMap(({ blobs }) => blobs))
    await destination.write(descriptor, once(content));
  const index = { mediaType: MEDIA.index, digest: digestOf(bytes), size: bytes.length };
  await destination.write(index, once(bytes));
  await destination.finish(index);
  await destination.close();
  return images;
}
