import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { tarOf, treeEntries } from '../../../../../bundle/layers/write/archive.ts';
import { parsePacking } from '../../../../../bundle/layers/write/compress.ts';
import { DiskTree } from '../../../../../bundle/layers/write/disk-tree.ts';
import { writeLayer } from '../../../../../bundle/layers/write/layer.ts';
import { makeNastyTree, setXattr } from '../../../../helpers/nasty-tree.ts';
import { home } from '../../../../helpers/places/home-per-file.ts';
import { differences, readTree } from '../../../../helpers/tree.ts';
import { Place } from '../fixture.ts';

let tree: string;
beforeAll(() => {
  tree = join(home, 'tree');
  mkdirSync(tree);
  makeNastyTree(tree);
});

function* tarOfTree(root: string, warnings: string[] = [], latest?: number): Generator<Uint8Array> {
  const disk = new DiskTree(root, { overlay: false, rootless: false });
  try {
    const onWarning = (line: string) => void warnings.push(line);
    yield* tarOf(treeEntries(disk.root(), { latest, onWarning }));
  } finally {
    disk.close();
  }
}

const archive = (root: string, warnings?: string[], latest?: number) =>
  Buffer.concat([...tarOfTree(root, warnings, latest)]);

test('a tree becomes the same archive wherever it is, in a fixed order', () => {
  const copy = join(home, 'copy');
  execFileSync('cp', ['-a', tree, copy]);
  const tar = archive(tree);
  expect(archive(copy).equals(tar)).toBe(true);
  const names = execFileSync('tar', ['-tf', '-', '--quoting-style=literal'], {
    input: tar,
    encoding: 'latin1',
    maxBuffer: 2 ** 24,
  });
  expect(names.slice(0, names.indexOf('disk'))).toMatch(
    /^\.\/\n0{60}\/\n[\s\S]*\ndir\/\ndir\/empty\/\ndir\/file\ndir\/zero\ndir\.sibling\n$/,
  );
});

test('our reader, and GNU tar, make the same tree of it', async () => {
  const tar = archive(tree);
  const place = new Place();
  try {
    await place.apply([tar]);
    expect(differences(readTree(tree), readTree(place.rootfs))).toEqual([]);
  } finally {
    place.remove();
  }
  const gnu = join(home, 'gnu');
  mkdirSync(gnu);
  const flags = [
    '--xattrs',
    '--xattrs-include=*',
    '--numeric-owner',
    '-p',
    '--delay-directory-restore',
  ];
  execFileSync('tar', ['-C', gnu, ...flags, '-xf', '-'], { input: tar });
  expect(differences(readTree(tree), readTree(gnu))).toEqual([]);
});

test('tar-stream reads the same names, sizes and attributes', async () => {
  const seen = new Map<string, { size: number; pax: object | null }>();
  const reader = extract();
  reader.on('entry', ({ name, size, pax }, stream, next) => {
    seen.set(name, { size: size ?? 0, pax: pax ?? null });
    stream.on('end', next).resume();
  });
  const done = new Promise<void>((resolve, reject) =>
    reader.on('finish', resolve).on('error', reject),
  );
  reader.end(archive(tree));
  await done;
  expect(seen.get('large')).toMatchObject({
    size: 700_001,
    pax: { mtime: '1580608922.123456789' },
  });
  expect(seen.get('xattr')?.pax).toMatchObject({ 'SCHILY.xattr.user.text': 'value' });
  expect(seen.get('ünïcödé')).toMatchObject({ size: 1 });
  expect(seen.get('setuid')?.pax).toMatchObject({ gid: '3000000' });
});

test('times after the epoch of the source are that epoch', () => {
  const names = execFileSync('tar', ['-tvf', '-', '--full-time', '--utc'], {
    input: archive(tree, [], 1_500_000_000),
    encoding: 'latin1',
    maxBuffer: 2 ** 24,
  });
  expect(names).toMatch(/2017-07-14 02:40:00 +large/);
  expect(names).toMatch(/1970-01-01 00:00:01\.5 +dir\/zero/);
});

test('what no archive can hold is left out, and said', async () => {
  const odd = join(home, 'odd');
  mkdirSync(odd);
  writeFileSync(join(odd, 'file'), '');
  setXattr(join(odd, 'file'), 'user.a=b', 'x');
  execFileSync('setfattr', ['-n', 'user.empty', join(odd, 'file')]);
  const server = createServer().listen(join(odd, 'socket'));
  await new Promise((resolve) => server.on('listening', resolve));
  const warnings: string[] = [];
  archive(odd, warnings);
  server.close();
  expect(warnings).toEqual([
    '/file: the attribute user.a=b is left out: an archive can hold none with "=" in its name',
    '/file: the attribute user.empty is left out: an archive can hold none without a value',
    '/socket is a socket, which no archive can hold',
  ]);
});

test.each([
  ['grows', (path: string) => appendFileSync(path, 'more')],
  ['is replaced', (path: string) => cpSync(join(tree, 'block'), path)],
  ['goes away', (path: string) => rmSync(path)],
  [
    'becomes a link to elsewhere',
    (path: string) => {
      rmSync(path);
      execFileSync('ln', ['-s', '/etc/passwd', path]);
    },
  ],
])('a file that %s while it is read is told by its name', (_, change) => {
  const moving = mkdtempSync(join(home, 'moving-'));
  writeFileSync(join(moving, 'first'), Buffer.alloc(600_000));
  writeFileSync(join(moving, 'second'), Buffer.alloc(1000));
  const chunks = tarOfTree(moving);
  chunks.next();
  change(join(moving, 'second'));
  expect(() => [...chunks]).toThrow(/^\/second changed while it was read: stop what writes to it/);
});

describe('a layer', () => {
  const digest = (bytes: Uint8Array) =>
    `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const write = async (...packing: Parameters<typeof parsePacking>) => {
    const layer = await writeLayer(tarOfTree(tree), parsePacking(...packing), home);
    try {
      const blob = Buffer.alloc(layer.descriptor.size);
      readSync(layer.fd, blob, 0, blob.length, 0);
      return { ...layer, blob };
    } finally {
      layer.close();
    }
  };

  test('has the digests of what it is, before and after compression, and the same ones again', async () => {
    const tar = archive(tree);
    const [first, second] = [await write(), await write('gzip', '6')];
    expect(first).toMatchObject({
      descriptor: {
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
        digest: digest(first.blob),
      },
      diffId: digest(tar),
    });
    expect(gunzipSync(first.blob).equals(tar)).toBe(true);
    expect(second.descriptor).toEqual(first.descriptor);
    // No time, and no system that wrote it.
    expect(first.blob.subarray(0, 10).toString('hex')).toBe('1f8b08000000000000ff');
    expect((await write('none')).blob.equals(tar)).toBe(true);
    expect((await write('gzip', '1')).descriptor.size).toBeGreaterThan(first.descriptor.size);
  });

  test('leaves nothing behind, whatever happens', async () => {
    const broken = function* () {
      yield Buffer.alloc(10);
      throw new Error('no more');
    };
    await expect(writeLayer(broken(), parsePacking(), home)).rejects.toThrow(/^no more$/);
    await expect(writeLayer([], parsePacking(), join(home, 'none'))).rejects.toThrow(
      /^cannot write to .*none: no such file or directory \(ENOENT\)$/,
    );
    const left = execFileSync('ls', ['-A', home], { encoding: 'utf8' });
    expect(left).not.toMatch(/scow-layer/);
    expect(existsSync(join(home, 'none'))).toBe(false);
  });

  test.each([
    [['lzma'], '--compress "lzma": want gzip, zstd or none'],
    [['gzip', '10'], '--level "10": gzip has 0 to 9'],
    [['zstd', '-1'], '--level "-1": zstd has 1 to 19'],
    [['none', '1'], '--level: there is none without compression'],
  ])('is not packed by %j', (words, message) => {
    expect(() => parsePacking(words[0], words[1])).toThrow(message);
  });
});
