import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { layerDirectory } from '../../../../bundle/store/files.ts';
import { prune, removeImages } from '../../../../bundle/store/remove.ts';
import { digestOf } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-test.ts';
import { store } from '../../../helpers/places/store-per-test.ts';
import { imageBlobs, once, putImage } from '../../../helpers/stored.ts';

/** What prune and remove take, and what they leave. */

const BASE = Buffer.alloc(10240, 'b');
const layerOf = (text: string) => Buffer.alloc(10240, text);
const blobs = () => readdirSync(join(store.path, 'blobs/sha256')).map((name) => `sha256:${name}`);
const has = ({ digest }: { digest: string }) => blobs().includes(digest);
const names = () => store.references().map(({ name }) => name);
const remove = (...texts: string[]) => removeImages(store, texts, { force: false, dryRun: false });

/** Makes the directory of an unpacked layer. */
function unpacked(chainId: string): string {
  const directory = layerDirectory(store.path, chainId, 'full');
  mkdirSync(directory);
  writeFileSync(join(directory, 'file'), 'content');
  return directory;
}

test('an image goes with its last name, and leaves what others need', async () => {
  const one = await putImage(store, 'one', { layers: [BASE, layerOf('1')] });
  const two = await putImage(store, 'two', { layers: [BASE, layerOf('2')] });
  await store.tag('one', 'again');
  const base = unpacked(digestOf(BASE));
  expect(await remove('one')).toMatchObject({
    untagged: ['localhost/one:latest'],
    deleted: [],
    waste: { blobs: [], layers: [], bytes: 0 },
  });
  const dry = await removeImages(store, ['again'], { force: false, dryRun: true });
  expect(names()).toEqual(['localhost/two:latest', 'localhost/again:latest']);
  expect(await remove('again')).toEqual(dry);
  expect(dry).toMatchObject({
    untagged: ['localhost/again:latest'],
    deleted: [one.manifest.digest],
    waste: { blobs: [one.manifest, one.config, one.layers[1]].map((d) => d?.digest).sort() },
  });
  expect(dry.waste.bytes).toBeGreaterThanOrEqual(10240);
  expect([...two.layers, two.manifest, two.config].every(has)).toBe(true);
  expect(existsSync(base)).toBe(true);
  await remove('two');
  expect(blobs()).toEqual([]);
  expect(existsSync(base)).toBe(false);
  expect(readdirSync(join(store.path, 'tmp'))).toEqual([]);
});

test('all of what is named goes, or nothing', async () => {
  await putImage(store, 'one', { config: { author: '1' } });
  const { config } = await putImage(store, 'two', { config: { author: '2' } });
  await store.tag('two', 'second');
  await expect(remove('one', 'three')).rejects.toThrow('no image "three"');
  const id = config.digest.slice(7, 19);
  await expect(remove(id)).rejects.toThrow(
    `${id} has 2 names (localhost/two:latest, localhost/second:latest): remove them by name, or all with --force`,
  );
  expect(names()).toHaveLength(3);
  await removeImages(store, [id], { force: true, dryRun: false });
  expect(names()).toEqual(['localhost/one:latest']);
});

test('what a bundle uses stays until the bundle is gone', async () => {
  const { manifest, config, layers } = await putImage(store, 'app', { layers: [BASE] });
  const bundle = join(home, 'bundle');
  const lease = await store.leaseForBundle(bundle, manifest.digest);
  const layer = unpacked(digestOf(BASE));
  // As long as it is made it counts, though it is not in its place yet.
  await prune(store, { all: true, dryRun: false });
  mkdirSync(bundle);
  writeFileSync(join(bundle, 'scow.json'), '{}');
  lease.release();
  await expect(remove('app')).rejects.toThrow(
    `localhost/app:latest is used by the bundle ${bundle}: remove that first, or take only the name away with --force`,
  );
  await prune(store, { all: true, dryRun: false });
  expect(names()).toEqual(['localhost/app:latest']);
  await store.tag('app', 'other');
  await remove('other');
  await removeImages(store, ['app'], { force: true, dryRun: false });
  expect(names()).toEqual([undefined]);
  await expect(remove(manifest.digest)).rejects.toThrow('it can go when that is gone');
  await prune(store, { all: true, dryRun: false });
  expect([manifest, config, ...layers].every(has) && existsSync(layer)).toBe(true);
  rmSync(bundle, { recursive: true });
  expect(await prune(store, { all: false, dryRun: false })).toMatchObject({
    deleted: [manifest.digest],
    waste: { layers: [digestOf(BASE)] },
  });
  expect(blobs()).toEqual([]);
  expect(readdirSync(join(store.path, 'leases'))).toEqual([]);
});

test('of two that make one bundle at once, the one that does has what it needs', async () => {
  const one = await putImage(store, 'one', { config: { author: '1' } });
  const two = await putImage(store, 'two', { config: { author: '2' } });
  const bundle = join(home, 'bundle');
  const first = await store.leaseForBundle(bundle, one.manifest.digest);
  const second = await store.leaseForBundle(bundle, two.manifest.digest);
  mkdirSync(bundle);
  writeFileSync(join(bundle, 'scow.json'), '{}');
  first.release();
  second.release();
  await prune(store, { all: true, dryRun: false });
  expect(has(one.manifest)).toBe(true);
  store.releaseBundle(bundle);
  await prune(store, { all: true, dryRun: false });
  expect(blobs()).toEqual([]);
});

test('what is being written or read is not pruned', async () => {
  const { blobs: content, manifest, layers } = imageBlobs({ layers: [BASE] });
  const destination = await store.destination('new');
  for (const [descriptor, bytes] of content) {
    await destination.write(descriptor, once(bytes));
    await prune(store, { all: true, dryRun: false });
  }
  await destination.finish(manifest);
  await destination.close();
  const source = await store.source('new');
  await expect(remove('new')).rejects.toThrow('is used by another command that runs now');
  await prune(store, { all: true, dryRun: false });
  expect(layers.every(has)).toBe(true);
  source.close();
  await prune(store, { all: false, dryRun: false });
  expect(names()).toEqual(['localhost/new:latest']);
  await prune(store, { all: true, dryRun: false });
  expect(blobs()).toEqual([]);
});

test('content that is found by another pull is its own from then on', async () => {
  const { layers } = await putImage(store, 'old', { layers: [BASE] });
  const destination = await store.destination('new');
  expect(await destination.has(layers[0] as never)).toBe(true);
  await remove('old');
  expect(layers.every(has)).toBe(true);
  await destination.close();
  await prune(store, { all: false, dryRun: false });
  expect(blobs()).toEqual([]);
});

test('nothing is removed while an image is damaged, for nobody knows what it needs', async () => {
  const { manifest } = await putImage(store, 'broken', { layers: [BASE] });
  await putImage(store, 'whole', { config: { author: 'somebody' } });
  const file = join(store.path, 'blobs', manifest.digest.replace(':', '/'));
  writeFileSync(file, Buffer.alloc(manifest.size));
  await expect(prune(store, { all: false, dryRun: false })).rejects.toThrow(
    'nothing is removed, since localhost/broken:latest is damaged (scow-bundle store check --repair)',
  );
  await expect(remove('whole')).rejects.toThrow('localhost/broken:latest is damaged');
  await remove('broken');
  expect(names()).toEqual(['localhost/whole:latest']);
  await prune(store, { all: false, dryRun: false });
  expect(blobs()).toHaveLength(2);
});

test('a store that does not exist has nothing to prune', async () => {
  expect(await prune(store, { all: true, dryRun: false })).toMatchObject({ waste: { bytes: 0 } });
  expect(existsSync(store.path)).toBe(false);
});
