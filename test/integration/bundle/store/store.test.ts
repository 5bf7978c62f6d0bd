import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once as ending } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkStore, type StoreReport } from '../../../../bundle/store/check.ts';
import { openStore, type Store } from '../../../../bundle/store/store.ts';
import type { Summary } from '../../../../bundle/store/summary.ts';
import { bundlerCommand, scowBundle } from '../../../helpers/bundler.ts';
import { digestOf, forPlatform, LayoutBuilder, MEDIA, tagged } from '../../../helpers/layout.ts';
import { imageBlobs, once, putImage, type Stored } from '../../../helpers/stored.ts';
import { archive, directory, file, hardLink } from '../../../helpers/tar.ts';

/** The commands for images of the store, as users and programs see them. */

let home: string;
let store: Store;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'scow-test-'));
  store = openStore(join(home, 'store'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function bundler(...args: string[]): string {
  const { status, stdout, stderr } = scowBundle(['--store', store.path, ...args]);
  if (status !== 0 || stderr !== '')
    throw new Error(`${args.join(' ')}: ${status} ${stderr}${stdout}`);
  return stdout;
}

function failing(...args: string[]): string {
  const { status, stdout, stderr } = scowBundle([...args, '--store', store.path]);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  return stderr;
}

const fileOf = (digest: string) => join(store.path, 'blobs', digest.replace(':', '/'));
const short = (digest: string) => digest.slice(7, 19);
const HISTORY = [
  { created: '2020-01-02T03:04:05Z', created_by: 'ADD base\n /' },
  { created_by: 'CMD ["/bin/sh"]', empty_layer: true, comment: '\u001b[31mred' },
];

/** An image for two platforms, of which the store may have both or one. */
async function putIndex(name: string, ...platforms: string[]): Promise<Stored[]> {
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

test('images are listed, shown with their history, named and removed', async () => {
  expect(bundler('images')).toBe('REPOSITORY   TAG   IMAGE ID   CREATED   SIZE\n');
  const alpine = await putImage(store, 'docker.io/library/alpine:3.20', {
    layers: [Buffer.alloc(10240)],
    config: { created: '2020-01-02T03:04:05Z', history: HISTORY },
  });
  const old = await putImage(store, 'app', { config: { author: 'old' } });
  const app = await putImage(store, 'app', { config: { author: 'new' } });
  const rows = bundler('images')
    .split('\n')
    .map((line) => line.split(/ {3,}/));
  expect(rows).toEqual([
    ['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'SIZE'],
    ['localhost/app', 'latest', short(app.config.digest), 'unknown', expect.stringMatching(/ B$/)],
    ['<none>', '<none>', short(old.config.digest), 'unknown', expect.stringMatching(/ B$/)],
    [
      ...['docker.io/library/alpine', '3.20', short(alpine.config.digest)],
      ...[expect.stringMatching(/^\d+ years ago$/), expect.stringMatching(/^10\.\d KiB$/)],
    ],
    [''],
  ]);
  expect(bundler('images', '-q', '--no-trunc', 'alpine:3.20')).toBe(`${alpine.config.digest}\n`);
  expect(bundler('images', '-q', 'alpine:3.19')).toBe('');
  const listed = JSON.parse(bundler('images', '--format', 'json', 'alpine')) as Summary[];
  expect(listed).toEqual([
    expect.objectContaining({
      name: 'docker.io/library/alpine:3.20',
      digest: alpine.manifest.digest,
      created: '2020-01-02T03:04:05Z',
    }),
  ]);

  expect(
    bundler('history', '--no-human', 'alpine:3.20')
      .split('\n')
      .map((line) => line.split(/ {3,}/)),
  ).toEqual([
    ['LAYER', 'CREATED', 'CREATED BY', 'SIZE', 'COMMENT'],
    ['<none>', 'CMD ["/bin/sh"]', '0', '\\u001b[31mred'],
    [short(alpine.layers[0]?.digest ?? ''), '2020-01-02T03:04:05Z', 'ADD base /', '10240'],
    [''],
  ]);
  expect(JSON.parse(bundler('history', '--format', 'json', 'alpine:3.20'))).toEqual([
    { createdBy: 'CMD ["/bin/sh"]', comment: '\u001b[31mred' },
    expect.objectContaining({ layer: expect.objectContaining({ number: 1, size: 10240 }) }),
  ]);

  expect(bundler('tag', short(alpine.config.digest), 'base', 'ghcr.io/me/base:1')).toBe(
    'localhost/base:latest\nghcr.io/me/base:1\n',
  );
  expect(failing('rmi', short(alpine.config.digest))).toContain('has 3 names');
  expect(failing('remove', 'nothing')).toContain('no image "nothing" in');
  expect(bundler('remove', '--dry-run', 'base', 'app')).toContain(
    `would be deleted: ${app.manifest.digest}`,
  );
  expect(bundler('rmi', 'base', 'ghcr.io/me/base:1', 'app')).not.toContain(alpine.manifest.digest);
  expect(bundler('prune')).toContain(`deleted: ${old.manifest.digest}`);
  expect(bundler('prune', '--all', '--format', 'json')).toContain(alpine.manifest.digest);
  expect(readdirSync(join(store.path, 'blobs/sha256'))).toEqual([]);
});

test('an image for several platforms is one, and each of them can be named', async () => {
  const [first, second] = await putIndex('multi', 'amd64', 'arm64');
  const rows = bundler('images', '--all')
    .split('\n')
    .map((line) => line.split(/ {3,}/).slice(2, 4));
  expect(rows.slice(1, 3)).toEqual([
    [short(first?.config.digest ?? ''), 'linux/amd64'],
    [short(second?.config.digest ?? ''), 'linux/arm64'],
  ]);
  expect(bundler('images', '-q')).toBe(`${short(first?.config.digest ?? '')}\n`);
  expect((await store.find(second?.config.digest ?? '')).descriptor.digest).toBe(
    second?.manifest.digest,
  );
  expect(bundler('history', '--platform', 'linux/arm64', 'multi')).toContain('LAYER');
});

test('store check finds what is damaged, and repairs it', async () => {
  const report = (...args: string[]) => {
    const all = ['--store', store.path, 'store', 'check', '--format', 'json', ...args];
    const { status, stdout } = scowBundle(all);
    return { status, ...(JSON.parse(stdout) as StoreReport) };
  };
  expect(report()).toMatchObject({ status: 0, images: 0, problems: [] });
  const layer = Buffer.alloc(4096, 'x');
  const broken = await putImage(store, 'broken', { layers: [layer] });
  const shared = await putImage(store, 'shared', { layers: [layer], config: { author: 'a' } });
  await putImage(store, 'whole', { config: { author: 'b' } });
  const [first, second] = await putIndex('multi', 'amd64', 'arm64');
  writeFileSync(join(store.path, 'blobs/sha256/letter'), 'not ours');
  expect(report()).toMatchObject({ status: 0, images: 4, problems: [], unused: { blobs: 0 } });

  writeFileSync(fileOf(broken.layers[0]?.digest ?? ''), Buffer.alloc(4096));
  rmSync(fileOf(second?.config.digest ?? ''));
  const damaged = report();
  const problems = [
    ['blob', broken.layers[0]?.digest],
    ['image', 'localhost/broken:latest'],
    ['image', 'localhost/shared:latest'],
    ['image', 'localhost/multi:latest'],
  ];
  expect(damaged.problems.map(({ kind, what }) => [kind, what])).toEqual(problems);
  expect(damaged).toMatchObject({ status: 1 });
  const text = scowBundle(['--store', store.path, 'store', 'check']);
  expect(text.status).toBe(1);
  expect(text.stdout).toContain(
    `localhost/shared:latest: layer 1 of 1 (${shared.layers[0]?.digest}) is damaged\n`,
  );
  const dry = scowBundle(['--store', store.path, 'store', 'check', '--repair', '--dry-run']);
  expect(dry.status).toBe(1);
  expect(dry.stdout).toMatch(
    /^localhost\/shared:latest: .* is damaged \(with --repair: taken out\)$/m,
  );
  expect(report()).toEqual(damaged);
  const repaired = report('--repair');
  expect(repaired.problems.every((problem) => problem.repaired !== undefined)).toBe(true);
  expect(repaired).toMatchObject({ status: 0, images: 2 });
  expect(report()).toMatchObject({ status: 0, images: 2, problems: [] });
  expect(readFileSync(fileOf(first?.manifest.digest ?? ''))).toBeTruthy();
  bundler('prune');
  await putImage(store, 'broken', { layers: [layer] });
  expect(report()).toMatchObject({ status: 0, images: 3, problems: [], unused: { blobs: 0 } });

  writeFileSync(join(store.path, 'index.json'), '{');
  expect(failing('images')).toContain('index.json');
  expect(report()).toMatchObject({ status: 1, problems: [{ kind: 'file', what: 'index.json' }] });
  report('--repair');
  expect(report()).toMatchObject({ status: 0, images: 3, problems: [] });
  expect(readdirSync(join(store.path, 'tmp'))).toEqual([]);
});

test('a layout that another tool made can be looked at, checked and changed', () => {
  const layout = new LayoutBuilder(join(home, 'theirs'));
  const one = layout.image({ config: { author: 'a' } });
  const two = layout.image({ config: { author: 'b' } });
  layout.finish(tagged(one, 'one'), tagged(two, 'two'));
  const files = readdirSync(layout.path);
  const theirs = (...args: string[]) => scowBundle(['--store', layout.path, ...args]);
  expect(theirs('images').stdout).toMatch(/two .*\n.*one /);
  expect(theirs('remove', '--dry-run', 'one').stdout).toContain('would be untagged: one\n');
  expect(theirs('store', 'check')).toMatchObject({ status: 0 });
  rmSync(layout.file(two.digest));
  expect(theirs('store', 'check')).toMatchObject({ status: 1 });
  expect(readdirSync(layout.path)).toEqual(files);
  expect(theirs('store', 'check', '--repair')).toMatchObject({ status: 0 });
  expect(theirs('rmi', 'one')).toMatchObject({ status: 0, stderr: '' });
  expect(readdirSync(join(layout.path, 'blobs/sha256'))).toHaveLength(1);
  expect(theirs('prune')).toMatchObject({ status: 0, stderr: '' });
  expect(readdirSync(join(layout.path, 'blobs/sha256'))).toEqual([]);
});

test('what is wrong with the command line, or with the place, is told in one line', () => {
  expect(failing('store', 'clean')).toContain('there is "check"');
  expect(failing('images', '--format', 'yaml')).toContain('want table or json');
  expect(failing('images', '--format', '{{.ID}}')).toContain('there are no templates');
  expect(failing('inspect', '--format', 'table', 'x')).toContain('want json');
  expect(bundler('delete', '--help')).not.toContain('default:');
  expect(failing('tag', 'a', 'B')).toContain('is not an image name');
  expect(failing('tag', 'a', 'b')).toContain('it is empty');
  expect(existsSync(store.path)).toBe(false);
  expect(failing('history', 'localhost/a')).toBe(
    `scow-bundle: no image "localhost/a" in ${store.path}: it is empty\n`,
  );
  mkdirSync(store.path);
  writeFileSync(join(store.path, 'letter'), '');
  const layout = new LayoutBuilder(store.path);
  layout.finish(tagged(layout.image(), 'theirs'));
  rmSync(join(store.path, 'oci-layout'));
  expect(failing('tag', 'theirs', 'b')).toContain(
    'the directory has other files, such as "letter"',
  );
});

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

test('processes that change the store at once wait for each other', async () => {
  await putImage(store, 'app');
  const names = Array.from({ length: 8 }, (_, i) => `app:${i}`);
  const [command = '', ...first] = bundlerCommand('bun');
  const ends = names.map((name) => {
    const child = spawn(command, [...first, '--store', store.path, 'tag', 'app', name]);
    return ending(child, 'exit');
  });
  expect(await Promise.all(ends)).toEqual(names.map(() => [0, null]));
  expect(new Set(store.references().map(({ name }) => name))).toEqual(
    new Set(['localhost/app:latest', ...names.map((name) => `localhost/${name}`)]),
  );
});

test('prune takes nothing of what is being copied, and all that a killed copy left', async () => {
  const layout = new LayoutBuilder(join(home, 'layout'));
  const layers = [1, 2, 3].map(() => archive({ name: 'file', content: randomBytes(3_000_000) }));
  layout.finish(tagged(layout.image({ layers }), 'x'));
  const [command = '', ...first] = bundlerCommand('bun');
  const words = [...first, '--store', store.path, 'copy', '-q', `oci:${layout.path}:x`, 'app'];
  for (const milliseconds of [60, 120]) {
    const copy = spawn(command, words, { stdio: 'ignore' });
    const end = ending(copy, 'exit');
    await sleep(milliseconds);
    copy.kill('SIGSTOP');
    const prune = spawn(command, [...first, '--store', store.path, 'prune']);
    const pruned = ending(prune, 'exit');
    // It waits where the copy was stopped while it had the store for itself.
    await Promise.race([pruned, sleep(1000)]);
    copy.kill('SIGCONT');
    expect([await pruned, await end]).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(bundler('verify', 'localhost/app')).toContain(': sound');
    bundler('rmi', 'app');
    const killed = spawn(command, words, { stdio: 'ignore' });
    const death = ending(killed, 'exit');
    await sleep(milliseconds);
    killed.kill('SIGKILL');
    await death;
    expect((await checkStore(store, false)).problems).toEqual([]);
    bundler('prune', '--all');
    expect(readdirSync(join(store.path, 'blobs/sha256'))).toEqual([]);
    expect(readdirSync(join(store.path, 'leases'))).toEqual([]);
    expect(readdirSync(join(store.path, 'tmp'))).toEqual([]);
  }
});

test('a store whose making was killed can be used at once', () => {
  mkdirSync(store.path, { mode: 0o700 });
  writeFileSync(join(store.path, 'lock'), '');
  for (const words of [['prune', '--dry-run'], ['images'], ['prune'], ['store', 'check']])
    expect(scowBundle(['--store', store.path, ...words])).toMatchObject({ status: 0, stderr: '' });
});

test('on a full disk nothing is lost, and an image can be removed', async () => {
  mkdirSync(store.path);
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'scow-test', store.path]);
  try {
    await putImage(store, 'app', { layers: [Buffer.alloc(200_000, 'a')] });
    await expect(putImage(store, 'big', { layers: [Buffer.alloc(400_000, 'b')] })).rejects.toThrow(
      /^cannot write sha256:[0-9a-f]{64} to the image store .*: no space left on device \(ENOSPC\)$/,
    );
    expect(readdirSync(join(store.path, 'tmp'))).toEqual([]);
    const filler = openSync(join(store.path, 'filler'), 'w');
    try {
      for (;;) writeSync(filler, Buffer.alloc(4096));
    } catch {
      closeSync(filler);
    }
    const source = await store.source('app');
    source.close();
    await expect(putImage(store, 'small', { config: { author: 'x' } })).rejects.toThrow(
      `cannot use the image store ${store.path}: no space left on device (ENOSPC)`,
    );
    expect((await checkStore(store, false)).problems).toEqual([]);
    expect(bundler('images', '-q')).toMatch(/^[0-9a-f]{12}\n$/);
    expect(bundler('remove', 'app')).toContain('untagged: localhost/app:latest');
    await putImage(store, 'app', { layers: [Buffer.alloc(100_000, 'a')] });
    expect((await checkStore(store, false)).problems).toEqual([]);
  } finally {
    spawnSync('umount', [store.path]);
  }
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

test('store check --layers compares unpacked layers with what they were unpacked from', async () => {
  const base = archive(
    directory('etc/'),
    file('etc/passwd', 'root\n', { mode: 0o640, uid: 3 }),
    file('etc/gone', 'gone'),
    directory('etc/dir/'),
    file('etc/dir/one', '1'),
  );
  const changes = archive(
    file('etc/.wh.gone'),
    hardLink('etc/alias', 'etc/passwd'),
    directory('etc/dir/', { mode: 0o700 }),
    file('etc/dir/.wh..wh..opq'),
    file('etc/dir/two', '2'),
  );
  await putImage(store, 'app', { layers: [base, changes] });
  const bundle = join(home, 'bundle');
  bundler('create', '--copy', 'app', bundle);
  expect(bundler('store', 'check', '--layers')).toContain('nothing is damaged');
  const layer = `sha256-${digestOf(base).slice('sha256:'.length)}`;
  writeFileSync(join(store.path, 'layers', layer, 'diff/etc/passwd'), 'ROOT\n');
  expect(bundler('store', 'check')).toContain('nothing is damaged');
  const check = (...args: string[]) =>
    scowBundle(['--store', store.path, 'store', 'check', '--layers', ...args]);
  expect(check()).toMatchObject({
    status: 1,
    stdout: expect.stringContaining(
      `${layer}: /etc/passwd was changed since it was unpacked, and `,
    ),
  });
  expect(check('--repair')).toMatchObject({
    status: 1,
    stdout: expect.stringContaining(
      `was changed since it was unpacked, and the bundle ${bundle} uses it\n`,
    ),
  });
  bundler('delete', bundle);
  expect(check('--repair', '--dry-run')).toMatchObject({
    status: 1,
    stdout: expect.stringContaining('since it was unpacked (with --repair: removed)\n'),
  });
  expect(check('--repair')).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('since it was unpacked (removed)\n'),
  });
  expect(readdirSync(join(store.path, 'layers'))).not.toContain(layer);
  bundler('create', '--copy', 'app', bundle);
  expect(bundler('store', 'check', '--layers')).toContain('nothing is damaged');
  expect(readdirSync(join(store.path, 'tmp'))).toEqual([]);
});
