import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scowBundle } from '../../../helpers/bundler.ts';
import { MEDIA } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-test.ts';
import { store } from '../../../helpers/places/store-per-test.ts';
import { putImage } from '../../../helpers/stored.ts';
import { archive } from '../../../helpers/tar.ts';
import { bundler, failing, fileOf, putIndex } from './support.ts';

/** `inspect` and `verify`: all of an image or a bundle. */

test('inspect shows an image, and what the store has of it', async () => {
  const layer = Buffer.alloc(10240, 'l');
  const { manifest, config, layers } = await putImage(store, 'app', {
    layers: [layer],
    config: { os: 'plan9', author: 'somebody' },
  });
  bundler('tag', 'app', 'other');
  const bundle = join(home, 'bundle');
  mkdirSync(bundle);
  writeFileSync(join(bundle, 'scow.json'), '{}');
  (await store.leaseForBundle(bundle, manifest.digest)).release();
  expect(JSON.parse(bundler('inspect', '--format', 'json', 'app'))).toEqual({
    digest: manifest.digest,
    mediaType: MEDIA.manifest,
    platform: 'plan9/amd64',
    manifestDigest: manifest.digest,
    manifest: expect.objectContaining({ layers: [expect.objectContaining(layers[0])] }),
    id: config.digest,
    config: expect.objectContaining({ author: 'somebody' }),
    store: {
      path: store.path,
      names: ['localhost/app:latest', 'localhost/other:latest'],
      size: manifest.size + config.size + layer.length,
      layers: [
        {
          digest: layers[0]?.digest,
          diffId: layers[0]?.digest,
          chainId: layers[0]?.digest,
          size: layer.length,
          unpacked: [],
        },
      ],
      bundles: [bundle],
    },
  });
  expect(bundler('inspect', '--raw', 'app')).toBe(readFileSync(fileOf(manifest.digest), 'utf8'));
  expect(bundler('inspect', '--config', 'app')).toBe(readFileSync(fileOf(config.digest), 'utf8'));
  const [amd64, arm64] = await putIndex('multi', 'amd64', 'arm64');
  const inspected = JSON.parse(bundler('inspect', '--platform', 'linux/arm64', 'multi'));
  expect(inspected).toMatchObject({
    mediaType: MEDIA.index,
    index: { manifests: [amd64?.manifest, arm64?.manifest] },
    manifestDigest: arm64?.manifest.digest,
  });
  expect(failing('inspect', '--platform', 'linux/s390x', 'multi')).toBe(
    'scow-bundle: multi has no image for linux/s390x, only for linux/amd64, linux/arm64\n',
  );
});

test('verify reads all of an image, wherever it is', async () => {
  const sound = archive({ name: 'file', content: 'content' });
  await putImage(store, 'sound', { layers: [sound] });
  const { layers } = await putImage(store, 'broken', { layers: [Buffer.alloc(10240, 'l')] });
  expect(bundler('verify', 'sound')).toMatch(
    /^[0-9a-f]{12} linux\/amd64: 1 layer, 2\.0 KiB: sound\n$/,
  );
  const verify = (image: string) =>
    scowBundle(['verify', '--store', store.path, '--format', 'json', image]);
  const { status, stdout } = verify(`oci:${store.path}:localhost/broken:latest`);
  expect({ status, ...JSON.parse(stdout) }).toMatchObject({
    status: 1,
    sound: false,
    manifests: [{ problems: [expect.stringContaining(`layer 1 of 1 (${layers[0]?.digest}): `)] }],
  });
});

test('inspect shows a bundle, and its image as long as that is there', async () => {
  const { manifest, config } = await putImage(store, 'app', {
    layers: [archive({ name: 'etc/file', content: 'content' })],
  });
  const bundle = join(home, 'bundle');
  bundler('create', '--copy', 'app', bundle);
  const inspected = JSON.parse(bundler('inspect', bundle));
  expect(inspected).toMatchObject({
    bundle,
    image: 'app',
    how: 'copy',
    manifest: manifest.digest,
    from: { id: config.digest, store: { names: ['localhost/app:latest'], bundles: [bundle] } },
  });
  expect(inspected.from.store.layers[0].unpacked).toHaveLength(1);
  expect(bundler('inspect', '--config', bundle)).toBe(readFileSync(fileOf(config.digest), 'utf8'));
  expect(failing('rmi', 'app')).toContain(`is used by the bundle ${bundle}`);
  // Without the command for it: the next prune notices.
  rmSync(join(bundle, 'scow.json'));
  bundler('prune', '--all');
  expect(readdirSync(join(store.path, 'layers'))).toEqual([]);
});
