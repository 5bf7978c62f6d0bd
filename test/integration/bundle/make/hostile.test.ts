import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Job, unpackAll, unpackAllUnderBun } from '../../../helpers/hostile.ts';
import { pointersOf, withValue } from '../../../helpers/json-edit.ts';
import { LayoutBuilder, MEDIA } from '../../../helpers/layout.ts';
import { mutate, pick, randomFrom } from '../../../helpers/mutate.ts';
import {
  archive,
  directory,
  END,
  entry,
  file,
  hardLink,
  longName,
  pax,
  symlink,
} from '../../../helpers/tar.ts';
import { readTree } from '../../../helpers/tree.ts';

// Whatever a layer is: either it is unpacked, or one line says what is wrong with it. Nothing is
// written outside of the bundle, and of a bundle that could not be made nothing is left.

jest.setTimeout(300_000);

let home: string;
let outside: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'scow-test-'));
  for (const name of ['canary', 'layouts', 'node', 'bun']) mkdirSync(join(home, name));
  writeFileSync(join(home, 'canary/file'), 'untouched');
  outside = surroundings();
});
// Some names are no UTF-8, which rmSync can't remove.
afterEach(() => void execFileSync('rm', ['-rf', home]));

/** What lies beside the bundles, in words. */
const surroundings = () =>
  JSON.stringify([readdirSync(home).sort(), ...readTree(join(home, 'canary'))]);

/** Errors that say what is wrong, and not where the code is that stumbled over it. */
const ONE_LINE = /^(?!.*(undefined|is not a function|\[object|NaN))[^\p{Cc}]+$/u;

/**
 * What becomes of images under Bun and in this process.
 *
 * @param slowly how many are tried in this process, which takes longer
 */
async function outcomesOf(images: readonly string[], slowly = images.length) {
  const into = (folder: string): Job[] =>
    images.map((image, i) => ({ image, bundle: join(home, folder, `${i}`) }));
  const node = await unpackAll(into('node').slice(0, slowly));
  const jobs = join(home, 'layouts/jobs.json');
  const bun = unpackAllUnderBun(into('bun'), jobs);
  for (const [folder, outcomes] of [
    ['node', node],
    ['bun', bun],
  ] as const) {
    const made = outcomes.flatMap((outcome, i) => (outcome === null ? [`${i}`] : []));
    expect(readdirSync(join(home, folder)).sort()).toEqual(made.sort());
    for (const name of made)
      expect(readdirSync(join(home, folder, name))).toEqual(['config.json', 'rootfs', 'scow.json']);
    for (const outcome of outcomes) {
      if (outcome === null) continue;
      expect(outcome.kind).toMatch(/^(Error|EntryError)$/);
      expect(outcome.message).toMatch(ONE_LINE);
    }
  }
  expect(surroundings()).toBe(outside);
  return { node, bun };
}

function layoutOf(index: number): LayoutBuilder {
  return new LayoutBuilder(join(home, 'layouts', `${index}`));
}

/** An image of one layer, whose blob may be something else than its diffID says. */
function imageOf(index: number, tar: Buffer, blob: Buffer, mediaType: string): string {
  const layout = layoutOf(index);
  const layers = [layout.blob(mediaType, blob)];
  return layout.finish(layout.image({ layers: [tar], manifest: { layers } }));
}

const octal = (value: number) => `${value.toString(8).padStart(11, '0')}\0`;

/** A bit of everything that archives can have. */
function everything(): Buffer[] {
  const oldSparse = entry({
    name: 'sparse',
    type: 'S',
    format: 'gnu',
    content: 'data',
    patches: [
      [386, octal(2 ** 20) + octal(4)],
      [483, octal(2 ** 22)],
    ],
  });
  const newSparse = pax([
    ['GNU.sparse.major', '1'],
    ['GNU.sparse.minor', '0'],
    ['GNU.sparse.name', 'huge'],
    ['GNU.sparse.realsize', '1048576'],
  ]);
  return [
    directory('./'),
    directory('d'),
    file('d/a', 'content '.repeat(200)),
    hardLink('d/b', 'd/a'),
    symlink('l', 'd'),
    symlink('out', join(home, 'canary')),
    symlink('up', '../../../canary'),
    file('l/through', 'x'),
    file('up/file', 'evil'),
    file('out/file', 'evil'),
    pax([
      ['path', 'd/by-pax'],
      ['mtime', '1234567890.5'],
      ['uid', '5'],
      ['size', '3'],
      ['SCHILY.xattr.user.x', 'value'],
    ]),
    file('x', 'abc'),
    pax([['gid', '7']], 'g'),
    longName(`d/${'n'.repeat(150)}`),
    file('x', 'long', { format: 'gnu' }),
    longName('t'.repeat(150), 'K'),
    entry({ name: 'longlink', type: '2', linkName: 't', format: 'gnu' }),
    oldSparse,
    Buffer.concat([newSparse, file('x', `${'1\n1048572\n4\n'.padEnd(512, '\0')}tail`)]),
    pax([
      ['GNU.sparse.map', '0,4,100,4'],
      ['GNU.sparse.size', '200'],
      ['GNU.sparse.major', '0'],
      ['GNU.sparse.minor', '1'],
    ]),
    file('sparse01', '12345678'),
    entry({ name: 'null', type: '3', major: 1, minor: 3 }),
    entry({ name: 'fifo', type: '6' }),
    file('.wh.lower'),
    file('d/.wh..wh..opq'),
    file('etc/passwd', 'root:x:0:0::/root:/bin/sh\n'),
  ];
}

test('500 archives with mistakes by chance and malice', async () => {
  const random = randomFrom(2024);
  const canary = join(home, 'canary');
  const names = [
    ...['../../../canary/file', `${canary}/file`, canary, 'up', 'up/file', 'out', 'out/file'],
    ...['.', '..', '/', '', 'd', 'd/a', 'd/../..', '.wh..', '.wh.', '.wh...', '.wh.d', 'l/../x'],
    ...['.wh..wh..opq', 'up/.wh.file', 'out/.wh..wh..opq', 'd/a/b', 'a\u0001\n\u001b[2J', '\u00ff'],
    ...['x'.repeat(100), 'l', 'huge', 'proc/self/root/etc', 'sparse', 'null', 'fifo'],
  ];
  const lower = archive(
    file('lower', 'x'),
    directory('d'),
    file('d/lower', 'x'),
    symlink('e', 'd'),
  );
  const images = Array.from({ length: 500 }, (_, i) => {
    let parts = everything();
    for (let left = 1 + random(4); left > 0; left--) parts = mutate(parts, names, random);
    const layout = layoutOf(i);
    const layers = [lower, Buffer.concat([...parts, END])];
    return layout.finish(layout.image({ layers, plain: true }));
  });
  const { node, bun } = await outcomesOf(images, 100);
  expect(bun.slice(0, 100)).toEqual(node);
  const made = bun.flatMap((outcome, i) => (outcome === null ? [`${i}`] : []));
  // Enough of both, or this would be a test of little.
  expect(made.length).toBeGreaterThan(100);
  expect(made.length).toBeLessThan(400);
  const tree = (folder: string, name: string) => [
    ...readTree(join(home, folder, name, 'rootfs')).values(),
  ];
  for (const name of made.filter((i) => Number(i) < 100))
    expect(tree('bun', name)).toEqual(tree('node', name));
});

describe('compressed layers', () => {
  const tar = archive(
    ...Array.from({ length: 40 }, (_, i) => file(`file-${i}`, `${i * i} `.repeat(300))),
  );
  const zstd = () => execFileSync('zstd', ['-q', '-c', '--check'], { input: tar });
  const formats = (): (readonly [mediaType: string, blob: Buffer])[] => [
    [MEDIA.tar, tar],
    [MEDIA.gzip, gzipSync(tar)],
    [`${MEDIA.tar}+zstd`, zstd()],
  ];

  test('cut off at each eighth', async () => {
    const images = formats().flatMap(([mediaType, blob], format) =>
      Array.from({ length: 8 }, (_, eighth) => {
        const cut = blob.subarray(0, Math.floor((blob.length * eighth) / 8));
        return imageOf(10 * format + eighth, tar, cut, mediaType);
      }),
    );
    const { node, bun } = await outcomesOf(images);
    for (const outcome of [...node, ...bun])
      expect(outcome?.message).toMatch(/^layer 1 of 1 \(sha256:\w+\): /);
  });

  test('with bytes that are others', async () => {
    const random = randomFrom(7);
    const all = formats();
    const images = Array.from({ length: 90 }, (_, i) => {
      const [mediaType, blob] = pick(random, all);
      const damaged = Buffer.from(blob);
      for (let left = 1 + random(3); left > 0; left--)
        damaged[random(damaged.length)] = random(256);
      return imageOf(i, tar, damaged, mediaType);
    });
    await outcomesOf(images);
  });
});

test('archives of a layout with bytes that are others', async () => {
  const random = randomFrom(11);
  const layout = layoutOf(0);
  layout.finish(layout.image({ layers: [archive(file('a', 'x'))] }));
  const tar = execFileSync('tar', ['-C', layout.path, '-cf', '-', '.']);
  const images = Array.from({ length: 60 }, (_, i) => {
    const damaged = Buffer.from(tar);
    for (let left = 1 + random(4); left > 0; left--) damaged[random(tar.length)] = random(256);
    const path = join(home, 'layouts', `${i}.tar`);
    writeFileSync(path, i % 4 === 0 ? damaged.subarray(0, random(tar.length)) : damaged);
    return path;
  });
  await outcomesOf(images);
});

const STRANGE = [
  null,
  true,
  -1,
  '',
  '\0',
  'a:b:c',
  '/../..',
  '=',
  [],
  [null],
  [''],
  {},
  { '': {} },
];

test('configurations with strange values: nothing worse than a list of mistakes', () => {
  const config = {
    architecture: 'amd64',
    os: 'linux',
    'os.features': ['a'],
    variant: 'v1',
    created: '2024-01-02T03:04:05Z',
    author: 'a',
    config: {
      User: '1',
      ExposedPorts: { '80/tcp': {} },
      Env: ['A=b'],
      Entrypoint: ['/x'],
      Cmd: ['y'],
      Volumes: { '/v': {} },
      WorkingDir: '/w',
      Labels: { a: 'b' },
      StopSignal: 'SIGINT',
    },
    rootfs: { type: 'layers', diff_ids: [] },
    history: [{ created: '2024-01-02T03:04:05Z', empty_layer: true, comment: 'c' }],
  };
  const changed = [...pointersOf(config)].flatMap((pointer) =>
    STRANGE.map((value) => withValue(config, pointer, value)),
  );
  const jobs = changed.map((content, i) => {
    const layout = layoutOf(i);
    const strange = layout.blob(MEDIA.config, content as object);
    const image = layout.finish(layout.image({ manifest: { config: strange } }));
    return { image, bundle: join(home, 'bun', `${i}`) };
  });
  const outcomes = unpackAllUnderBun(jobs, join(home, 'layouts/jobs.json'));
  const refused = outcomes.filter((outcome) => outcome !== null);
  expect(refused.length).toBeGreaterThan(200);
  expect(refused.filter(({ kind }) => kind !== 'Error')).toEqual([]);
  expect(readdirSync(join(home, 'bun'))).toHaveLength(outcomes.length - refused.length);
});
