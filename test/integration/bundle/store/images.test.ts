import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Summary } from '../../../../bundle/store/summary.ts';
import { scowBundle } from '../../../helpers/bundler.ts';
import { LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-test.ts';
import { store } from '../../../helpers/places/store-per-test.ts';
import { putImage } from '../../../helpers/stored.ts';
import { bundler, failing, putIndex, short } from './support.ts';

/** The commands for images of the store, as users and programs see them. */

const HISTORY = [
  { created: '2020-01-02T03:04:05Z', created_by: 'ADD base\n /' },
  { created_by: 'CMD ["/bin/sh"]', empty_layer: true, comment: '\u001b[31mred' },
];

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
