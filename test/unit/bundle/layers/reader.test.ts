import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from 'tar-stream';
import type { TarEntry } from '../../../../bundle/layers/tar/entry.ts';
import { TarReader } from '../../../../bundle/layers/tar/reader.ts';
import { archive, entry, file, header, longName, pax } from '../../../helpers/tar.ts';

interface Read {
  readonly entry: TarEntry;
  readonly content: Buffer;
}

/** Reads an archive, pushed in pieces of `step` bytes; holes come as zeros. */
function read(tar: Uint8Array, step = tar.length): Read[] {
  const found: Read[] = [];
  const reader = new TarReader({
    entry: (current) => found.push({ entry: current, content: Buffer.alloc(current.size) }),
    content: (bytes, offset) => found.at(-1)?.content.set(bytes, offset),
    end: () => undefined,
  });
  for (let i = 0; i < tar.length; i += step) reader.push(tar.subarray(i, i + step));
  reader.finish();
  return found;
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** What both readers can tell, of an archive whose names and values are UTF-8. */
async function throughTarStream(tar: Uint8Array): Promise<unknown[]> {
  const found: unknown[] = [];
  // The types lack this option, without which v7 is refused.
  const stream = extract({ allowUnknownFormat: true } as object);
  stream.end(tar);
  for await (const part of stream) {
    const chunks: Buffer[] = [];
    for await (const chunk of part) chunks.push(chunk as Buffer);
    const { name, type, mode, uid, gid, size, linkname, mtime, devmajor, devminor } = part.header;
    const times = Math.floor((mtime?.getTime() ?? 0) / 1000);
    const kind = type === 'contiguous-file' ? 'file' : type;
    found.push([
      name,
      kind,
      mode,
      uid,
      gid,
      size,
      linkname ?? '',
      times,
      devmajor,
      devminor,
      sha256(Buffer.concat(chunks)),
    ]);
  }
  return found;
}

const KINDS = {
  file: 'file',
  'hard link': 'link',
  'symbolic link': 'symlink',
  'character device': 'character-device',
  'block device': 'block-device',
  directory: 'directory',
  FIFO: 'fifo',
} as const;

function throughOurs(tar: Uint8Array, step?: number): unknown[] {
  return read(tar, step).map(({ entry: e, content }) => [
    e.name.toString().replace(/\/$/, e.type === 'directory' ? '/' : ''),
    KINDS[e.type],
    e.mode,
    e.uid,
    e.gid,
    e.size,
    e.linkName.toString(),
    e.mtime.seconds,
    e.major,
    e.minor,
    sha256(content),
  ]);
}

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'scow-tar-'));
  const tree = join(work, 'tree');
  mkdirSync(join(tree, 'dir'), { recursive: true });
  writeFileSync(join(tree, 'dir/file'), 'content');
  chmodSync(join(tree, 'dir/file'), 0o6751);
  utimesSync(join(tree, 'dir/file'), 1e9, 1_234_567_890.5);
  writeFileSync(join(tree, 'block'), Buffer.alloc(1024, 'b'));
  writeFileSync(join(tree, 'empty'), '');
  linkSync(join(tree, 'dir/file'), join(tree, 'link'));
  symlinkSync('dir/file', join(tree, 'symlink'));
  execFileSync('mkfifo', [join(tree, 'fifo')]);
  execFileSync('mknod', [join(tree, 'null'), 'c', '1', '3']);
  execFileSync('mknod', [join(tree, 'sda'), 'b', '8', '0']);
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

function gnuTar(directory: string, ...options: string[]): Buffer {
  return execFileSync(
    'tar',
    ['-C', join(work, directory), '--sort=name', ...options, '-cf', '-', '.'],
    {
      maxBuffer: 2 ** 28,
    },
  );
}

describe.each(['ustar', 'gnu', 'pax', 'v7', 'oldgnu'])('GNU tar, --format=%s', (format) => {
  const skips = format === 'v7' ? ['--exclude=./fifo', '--exclude=./null', '--exclude=./sda'] : [];

  test('is read as tar-stream reads it, however it is cut', async () => {
    const tar = gnuTar('tree', `--format=${format}`, ...skips);
    const expected = await throughTarStream(tar);
    expect(expected.length).toBeGreaterThan(5);
    for (const step of [tar.length, 512, 1000, 13, 1])
      expect(throughOurs(tar, step)).toEqual(expected);
  });

  test('with long names', async () => {
    const tree = join(work, 'long');
    const deep = join(tree, 'a'.repeat(90), 'b'.repeat(60));
    mkdirSync(deep, { recursive: true });
    writeFileSync(join(deep, 'c'.repeat(90)), 'x');
    if (format !== 'v7' && format !== 'ustar') {
      writeFileSync(join(deep, 'ü'.repeat(120)), 'y');
      symlinkSync('t'.repeat(300), join(deep, 'l'));
    }
    if (format === 'v7') rmSync(join(tree, 'a'.repeat(90)), { recursive: true });
    const tar = gnuTar('long', `--format=${format}`);
    expect(throughOurs(tar)).toEqual(await throughTarStream(tar));
    rmSync(tree, { recursive: true });
  });
});

describe.each([
  ['gnu', '0.0'],
  ['pax', '0.0'],
  ['pax', '0.1'],
  ['pax', '1.0'],
])('sparse files, --format=%s --sparse-version=%s', (format, version) => {
  test.each([
    ['with holes around little content', 1, 2 ** 20],
    ['with more parts than the header holds', 60, 2 ** 22],
    ['that are all hole', 0, 2 ** 21],
  ])('%s', (_name, parts, size) => {
    const tree = join(work, 'sparse');
    mkdirSync(tree);
    const path = join(tree, `sparse-${'n'.repeat(120)}`);
    const expected = Buffer.alloc(size);
    const fd = openSync(path, 'w');
    for (let i = 0; i < parts; i++) {
      const bytes = Buffer.alloc(1 + i * 50, `part ${i} `);
      expected.set(bytes, 4096 + i * 65536);
      writeSync(fd, bytes, 0, bytes.length, 4096 + i * 65536);
    }
    truncateSync(path, size);
    const tar = gnuTar('sparse', '--sparse', `--format=${format}`, `--sparse-version=${version}`);
    expect(tar.length).toBeLessThan(size);
    for (const step of [tar.length, 700]) {
      const found = read(tar, step).find(({ entry: e }) => e.type === 'file');
      expect(found?.entry.name.toString()).toBe(`./sparse-${'n'.repeat(120)}`);
      expect(found?.entry.size).toBe(size);
      expect(found?.content.equals(expected)).toBe(true);
    }
    rmSync(tree, { recursive: true });
  });
});

test('extended attributes of GNU tar stay bytes, which tar-stream loses', async () => {
  const tree = join(work, 'xattrs');
  mkdirSync(tree);
  writeFileSync(join(tree, 'ping'), '');
  execFileSync('setcap', ['cap_net_raw+ep', join(tree, 'ping')]);
  execFileSync('setfattr', ['-n', 'user.bytes', '-v', '0xff00fe0a3d80', join(tree, 'ping')]);
  const tar = gnuTar('xattrs', '--format=pax', '--xattrs', '--xattrs-include=*');
  const found = read(tar).find(({ entry: e }) => e.type === 'file');
  const values = found?.entry.xattrs.map(({ name, value }) => `${name} ${value.toString('hex')}`);
  expect(values?.sort()).toEqual([
    'security.capability 0100000200200000000000000000000000000000',
    'user.bytes ff00fe0a3d80',
  ]);
});

test('times of GNU tar keep their nanoseconds', () => {
  const tree = join(work, 'times');
  mkdirSync(tree);
  for (const [name, date] of [
    ['late', '2023-04-05 06:07:08.123456789 UTC'],
    ['early', '1960-01-01 00:00:00.25 UTC'],
  ] as const)
    execFileSync('touch', ['-d', date, join(tree, name)]);
  const found = read(gnuTar('times', '--format=pax'));
  expect(found.slice(1).map(({ entry: e }) => e.mtime)).toEqual([
    { seconds: -315619200, nanoseconds: 250000000 },
    { seconds: 1680674828, nanoseconds: 123456789 },
  ]);
});

test('large and negative numbers in base 256', async () => {
  const base256 = (value: bigint, length: number) => {
    const hex = BigInt.asUintN(8 * length, value)
      .toString(16)
      .padStart(2 * length, '0');
    const bytes = Buffer.from(hex, 'hex');
    bytes[0] = (bytes[0] as number) | 0x80;
    return bytes;
  };
  const tar = archive(
    entry({
      name: 'x',
      format: 'gnu',
      patches: [
        [108, base256(3_000_000n, 8)],
        [116, base256(4_000_000_000n, 8)],
        [136, base256(-2n, 12)],
      ],
    }),
  );
  expect(read(tar)[0]?.entry).toMatchObject({
    uid: 3_000_000,
    gid: 4_000_000_000,
    mtime: { seconds: -2, nanoseconds: 0 },
  });
  expect(() => read(archive(header({ patches: [[124, base256(2n ** 60n, 12)]] })))).toThrow(
    /its size is 1152921504606846976, which is beyond anything/,
  );
});

test('global headers hold for all that follow, until a local one says otherwise', () => {
  const tar = archive(
    pax(
      [
        ['uid', '7'],
        ['mtime', '5.5'],
        ['comment', 'of git'],
      ],
      'g',
    ),
    file('a'),
    pax([
      ['uid', '8'],
      ['mtime', ''],
    ]),
    file('b'),
    file('c'),
  );
  expect(read(tar).map(({ entry: e }) => [e.name.toString(), e.uid, e.mtime.seconds])).toEqual([
    ['a', 7, 5],
    ['b', 8, 1_000_000_000],
    ['c', 7, 5],
  ]);
});

test('a PAX header, or a long name, before another header: each keeps its own size', () => {
  const long = 'n'.repeat(200);
  const tar = archive(
    pax([['size', '4']]),
    longName(long),
    entry({ name: 'x', size: 0, content: 'four' }),
    file('next', 'n'),
  );
  expect(read(tar).map(({ entry: e, content }) => [e.name.toString(), `${content}`])).toEqual([
    [long, 'four'],
    ['next', 'n'],
  ]);
});

test('an old archive marks directories by a slash; its checksum may sum signed bytes', () => {
  const signed = header({ name: 'd\xe9/', type: '\0', format: 'v7', mode: 0o755 });
  const sum = signed.reduce((total, byte, i) => {
    if (i >= 148 && i < 156) return total + 32;
    return total + (byte < 128 ? byte : byte - 256);
  }, 0);
  signed.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  expect(read(archive(signed))[0]?.entry.type).toBe('directory');
});

test('a contiguous file is a file', () => {
  expect(read(archive(file('x', 'abc', { type: '7' })))[0]).toMatchObject({
    entry: { type: 'file', size: 3 },
  });
});

describe('the end', () => {
  const one = file('x', 'y'.repeat(700));

  test('may lack its zeros, or the filling of the last block', () => {
    expect(read(one)).toHaveLength(1);
    expect(read(one.subarray(0, 512 + 700))).toHaveLength(1);
    expect(read(Buffer.concat([one, Buffer.alloc(512)]))).toHaveLength(1);
  });

  test('hides what comes after it', () => {
    expect(
      read(Buffer.concat([archive(one), archive(file('hidden')), Buffer.from('x')])),
    ).toHaveLength(1);
  });

  test.each([1, 511, 512, 512 + 699])('after %d bytes is an error', (length) => {
    expect(() => read(one.subarray(0, length))).toThrow(
      'the archive is truncated: it ends in the middle of an entry',
    );
  });

  test('is two blocks of zeros: one alone between entries is damage', () => {
    expect(() => read(archive(one, Buffer.alloc(512), one))).toThrow(
      'a lone block of zeros lies between two entries',
    );
  });
});

test('what is kept in memory has limits, however little it takes in a compressed archive', () => {
  const map = (count: string) =>
    Buffer.concat([
      pax([
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.name', 'parts'],
        ['GNU.sparse.realsize', '10'],
      ]),
      file('x', count.padEnd(512, '\n')),
    ]);
  expect(() => read(archive(map('1000001\n')))).toThrow(
    /^its sparse map has 1000001 entries \(at most 1000000\)$/,
  );
  const global = (key: string) => pax([[key, 'v'.repeat(400_000)]], 'g');
  expect(read(archive(global('a'), global('b'), file('x')))).toHaveLength(1);
  expect(() => read(archive(global('a'), global('b'), global('c'), file('x')))).toThrow(
    /^its global extended headers have more than 1 MiB together$/,
  );
});
