import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StoreReport } from '../../../../bundle/store/check.ts';
import { scowBundle } from '../../../helpers/bundler.ts';
import { digestOf } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-test.ts';
import { store } from '../../../helpers/places/store-per-test.ts';
import { putImage } from '../../../helpers/stored.ts';
import { archive, directory, file, hardLink } from '../../../helpers/tar.ts';
import { bundler, failing, fileOf, putIndex } from './support.ts';

/** `store check`: what is damaged is found and repaired. */

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
