import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHANGES, changeTree } from '../../../helpers/change-tree.ts';
import { runBundle } from '../../../helpers/container.ts';
import { LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import { cleanUp } from '../../../helpers/scow.ts';
import { differences, readTree } from '../../../helpers/tree.ts';
import { readImage, Workshop } from '../workshop.ts';

/** Bundles become images: the same files, for everybody who reads them. */

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterEach(cleanUp);
afterAll(() => shop.close());

const LETTERS = { A: 'added', C: 'changed', D: 'deleted' } as const;
/** In a tree of its own a file that changed has all its names. */
const NAMES = [...CHANGES, ['C', 'z-link']];

describe.each(['unpack', 'create', 'create --copy'] as const)('a bundle of %s', (how) => {
  const expected = (how === 'create' ? CHANGES : NAMES)
    .map(([kind, path]) => ({ kind: LETTERS[kind as 'A'], path: `/${path}` }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));

  test('tells its changes, and becomes an image in which everybody sees them', () => {
    const bundle = shop.bundle(how);
    const rootfs = join(bundle, 'rootfs');
    expect(shop.ok('diff', bundle)).toBe('');
    changeTree(rootfs);
    expect(JSON.parse(shop.ok('diff', '--format', 'json', bundle))).toEqual(expected);
    const printed = shop.ok('diff', bundle);
    expect(printed).toBe(
      expected
        .map(({ kind, path }) => `${kind.charAt(0).toUpperCase()} ${path}\n`)
        .join('')
        .replaceAll('A /', 'A /'),
    );
    const layout = shop.next('layout');
    shop.ok('commit', bundle, `oci:${layout}:v2`);
    shop.ok('commit', '--compress', 'zstd', bundle, `oci:${layout}:zstd`);
    shop.ok('commit', '--quiet', '--author', 'me', '--message', 'what', bundle, 'new:2');
    for (const path of ['mnt/made', 'var/run/volume'])
      rmSync(join(rootfs, path), { recursive: true });
    const seen = readTree(rootfs);
    // The times of directories that only mounts were made in are no change.
    const untouched = ['mnt', 'var/run'];
    const compare = (tree: string) =>
      differences(seen, readTree(tree)).filter(
        (line) => !untouched.some((path) => line.startsWith(`${path}: mtime`)),
      );
    const unpacked = shop.next('out');
    shop.ok('unpack', '--image', `${layout}:zstd`, `${unpacked}-scow`);
    expect(compare(`${unpacked}-scow/rootfs`)).toEqual([]);
    shop.run('umoci', 'unpack', '--image', `${layout}:v2`, `${unpacked}-umoci`);
    expect(compare(`${unpacked}-umoci/rootfs`)).toEqual([]);
    shop.ok('create', '--quiet', 'new:2', `${unpacked}-new`);
    expect(compare(`${unpacked}-new/rootfs`)).toEqual([]);
    shop.ok('export', '-o', `${unpacked}.tar`, bundle);
    mkdirSync(unpacked);
    shop.run('tar', '-C', unpacked, '--xattrs', '--xattrs-include=*', '-xf', `${unpacked}.tar`);
    expect(differences(seen, readTree(unpacked))).toEqual([]);
  });
});

test('a container that ran leaves its own changes, and nothing of how it was run', () => {
  shop.addShell();
  const bundle = shop.bundle('create', 'shell');
  const path = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(join(shop.home, 'resolv.conf'), 'host');
  config.mounts.push(
    ...['/etc/resolv.conf', '/etc/hosts'].map((destination) => ({
      destination,
      type: 'bind',
      source: join(shop.home, 'resolv.conf'),
      options: ['bind'],
    })),
  );
  const script = 'echo new > /etc/new; rm /etc/keep; echo x > /var/volume/x; echo y > /dev/shm/y';
  config.process.args = ['/bin/sh', '-c', script];
  writeFileSync(path, JSON.stringify(config));
  expect(runBundle('bun', bundle)).toMatchObject({ status: 0, stderr: '' });
  expect(readdirSync(join(bundle, 'rootfs'))).toEqual(expect.arrayContaining(['dev', 'proc']));
  expect(shop.ok('diff', bundle)).toBe('C /etc\nD /etc/keep\nA /etc/new\n');
  const env = { SOURCE_DATE_EPOCH: '1700000000' };
  const layout = shop.next('layout');
  for (const engine of ['bun', 'node'] as const)
    for (const tag of ['1', '2'])
      shop.okUnder(
        engine,
        env,
        'commit',
        '--compress',
        'none',
        bundle,
        `oci:${layout}:${engine}${tag}`,
      );
  const images = ['bun1', 'bun2', 'node1', 'node2'].map((tag) => readImage(layout, tag));
  // The same changes make the same image, by either engine.
  for (const image of images) expect(image).toEqual(images[0]);
  const [, layer] = images[0]?.manifest.layers ?? [];
  const listed = shop.run(
    'tar',
    '-tvf',
    join(layout, 'blobs', ...(layer?.digest ?? '').split(':')),
    '--utc',
  );
  expect(listed.replaceAll(/ +/g, ' ')).toBe(
    [
      'drwxr-xr-x 0/0 0 2023-11-14 22:13 ./',
      'drwxr-xr-x 0/0 0 2023-11-14 22:13 etc/',
      '---------- 0/0 0 1970-01-01 00:00 etc/.wh.keep',
      '-rw-r--r-- 0/0 4 2023-11-14 22:13 etc/new',
      '',
    ].join('\n'),
  );
  const gzip = ['gzip1', 'gzip2'].map((tag) => {
    shop.okUnder('bun', env, 'commit', bundle, `oci:${layout}:${tag}`);
    return readImage(layout, tag).manifest;
  });
  expect(gzip[0]).toEqual(gzip[1]);
  shop.ok('delete', bundle);
});

test('names that would delete files of the image are left out of its new layer', () => {
  const bundle = shop.bundle('create --copy');
  const rootfs = join(bundle, 'rootfs');
  const before = readdirSync(rootfs).sort();
  const [victim] = before;
  for (const name of [`.wh.${victim}`, '.wh..wh..opq', 'new'])
    writeFileSync(join(rootfs, name), '');
  mkdirSync(join(rootfs, '.wh.made'));
  writeFileSync(join(rootfs, '.wh.made/file'), '');
  const { status, stderr } = shop.try('commit', bundle, 'marked:1');
  expect(status).toBe(0);
  expect(stderr.split('\n').filter((line) => line.includes('.wh.'))).toEqual(
    ['.wh..wh..opq', `.wh.${victim}`, '.wh.made'].map(
      (name) =>
        `scow-bundle: warning: /${name} is left out: in a layer a name that begins with .wh. deletes another`,
    ),
  );
  const next = shop.next('next');
  shop.ok('create', '--copy', '--quiet', 'marked:1', next);
  expect(readdirSync(join(next, 'rootfs')).sort()).toEqual([...before, 'new'].sort());
});

test('images are committed on top of each other, with layers and without any below', () => {
  const layout = new LayoutBuilder(join(shop.home, 'nothing'));
  shop.ok('load', '-i', layout.finish(tagged(layout.image(), 'nothing')));
  let image = 'nothing';
  for (const name of ['one', 'two', 'three']) {
    const bundle = shop.next('bundle');
    shop.ok('create', '--quiet', image, bundle);
    writeFileSync(join(bundle, 'rootfs', name), name);
    if (name === 'three') rmSync(join(bundle, 'rootfs/one'));
    image = `stack:${name}`;
    shop.ok('commit', '--compress', name === 'two' ? 'zstd' : 'gzip', bundle, image);
    shop.ok('delete', bundle);
  }
  expect(
    execFileSync('tar', ['-t'], {
      input: shop.okUnder('bun', {}, 'export', image),
      encoding: 'utf8',
    }),
  ).toBe('./\nthree\ntwo\n');
  expect(JSON.parse(shop.ok('history', '--format', 'json', image))).toHaveLength(3);
});

test('what buildah mounts of a commit is the same tree', () => {
  const bundle = shop.bundle('create');
  changeTree(join(bundle, 'rootfs'));
  const layout = shop.next('layout');
  shop.ok('commit', bundle, `oci:${layout}:v2`);
  const storage = `driver = "overlay"\ngraphroot = "${shop.home}/graph"\nrunroot = "${shop.home}/run"\n`;
  writeFileSync(join(shop.home, 'storage.conf'), `[storage]\n${storage}`);
  shop.run('skopeo', 'copy', `oci:${layout}:v2`, 'containers-storage:localhost/committed:v2');
  const container = shop.run('buildah', 'from', 'localhost/committed:v2').trim();
  const tree = shop.run('buildah', 'mount', container).trim();
  const out = shop.next('out');
  shop.ok('unpack', '--image', `${layout}:v2`, out);
  // It has ideas of its own of the root, and of times before 1970.
  const found = differences(readTree(join(out, 'rootfs')), readTree(tree)).filter(
    (line) => !/^(\.: (mode|mtime)|\S*block\S*: mtime) is/.test(line),
  );
  shop.run('buildah', 'rm', container);
  expect(found).toEqual([]);
  shop.ok('delete', bundle);
});
