import {
  existsSync,
  lstatSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { applyLayers } from '../../../../bundle/layers/apply.ts';
import { applyUnderBun } from '../../../helpers/layers.ts';
import { archive, directory, entry, file, hardLink, pax, symlink } from '../../../helpers/tar.ts';
import { readTree } from '../../../helpers/tree.ts';
import { diffId, layer, Place, TAR } from './fixture.ts';

// Beside the root filesystem lies a directory that no archive may change: "canary/file".

let place: Place;
let before: string;
beforeEach(() => {
  place = new Place();
  before = place.outside();
});
afterEach(() => {
  expect(place.outside()).toBe(before);
  place.remove();
});

const types = () =>
  [...readTree(place.rootfs)].slice(1).map(([name, { type }]) => `${name} ${type}`);

describe('names', () => {
  test.each([
    '../canary/file',
    '/../canary/file',
    'a/../../canary/file',
    '../../../../../../../canary/file',
    '/canary/file',
    './/../canary//./file',
  ])('like %s stay inside', async (name) => {
    await place.apply([archive(file(name, 'evil'))]);
    expect(types()).toEqual(['canary directory', 'canary/file file']);
  });

  test('cannot turn the root into something else', async () => {
    for (const part of [
      symlink('.', '../canary'),
      symlink('/', '../canary'),
      file('..', 'evil'),
      hardLink('', 'x'),
      entry({ name: './', type: '6' }),
    ])
      await expect(place.apply([archive(part)])).rejects.toThrow(/the root can't become a /);
    expect(lstatSync(place.rootfs).isDirectory()).toBe(true);
  });
});

describe('symbolic links on the way', () => {
  const targets = () => [
    place.canary,
    '../canary',
    `../../../../../../../../../..${place.canary}`,
    `/proc/self/cwd/..${place.canary}`,
    `/proc/self/root${place.canary}`,
  ];

  test('lead to places inside', async () => {
    for (const [i, target] of targets().entries()) {
      const link = `link${i}`;
      await place.apply([
        archive(symlink(link, target), file(`${link}/file`, 'evil'), file(`${link}/new/x`)),
      ]);
      place.remove();
      place = new Place();
      before = place.outside();
    }
    await place.apply([archive(symlink('link', '../canary'), file('link/file', 'evil'))]);
    expect(types()).toEqual(['canary directory', 'canary/file file', 'link link']);
  });

  test('may follow one another', async () => {
    await place.apply([
      archive(
        directory('d'),
        symlink('a', '..'),
        symlink('d/b', '../a/../a'),
        symlink('c', 'd/b/../canary'),
        file('c/file', 'evil'),
      ),
    ]);
    expect(readFileSync(place.at('canary/file'), 'utf8')).toBe('evil');
  });

  test('in a circle are an error', async () => {
    await expect(
      place.apply([archive(symlink('a', 'b'), symlink('b', 'a'), file('a/x'))]),
    ).rejects.toThrow('layer 1: a/x: too many levels of symbolic links (ELOOP)');
  });

  test('are replaced by a file of their name, not followed', async () => {
    await place.apply([archive(symlink('x', '../canary/file')), archive(file('x', 'evil'))]);
    expect(types()).toEqual(['x file']);
  });

  test('are replaced by a directory of their name, not followed', async () => {
    await place.apply([
      archive(symlink('x', '../canary'), directory('x', { mode: 0o777 }), file('x/file', 'evil')),
    ]);
    expect(types()).toEqual(['x directory', 'x/file file']);
  });

  test('do not take owner, mode, time or attributes to what they lead to', async () => {
    await place.apply([
      archive(
        pax([['SCHILY.xattr.trusted.evil', 'x']]),
        entry({ name: 'x', type: '2', linkName: place.canary, mode: 0o777, uid: 666, mtime: 1 }),
      ),
    ]);
    expect(types()).toEqual(['x link']);
  });

  test('that are the parent of a whiteout lead it to places inside', async () => {
    await place.apply([
      archive(symlink('up', '..'), symlink('abs', place.path), file('keep')),
      archive(
        file('up/canary/.wh.file'),
        file('up/.wh.canary'),
        file('abs/canary/.wh..wh..opq'),
        file('abs/.wh.canary'),
      ),
    ]);
    expect(types()).toEqual(['abs link', 'keep file', 'up link']);
  });
});

describe('whiteouts', () => {
  test.each([
    '.wh...',
    '.wh..',
    'd/.wh...',
    '../.wh.canary',
    '.wh.../canary',
    '../canary/.wh.file',
  ])('named %s remove nothing outside', async (name) => {
    await place.apply([archive(directory('d')), archive(file(name))]).catch(() => undefined);
    expect(existsSync(place.at('d'))).toBe(true);
  });

  test('of a directory with a link outside remove the link alone', async () => {
    await place.apply([
      archive(directory('d'), symlink('d/out', place.canary), file('keep')),
      archive(file('.wh.d')),
    ]);
    expect(types()).toEqual(['keep file']);
  });
});

describe('hard links', () => {
  test.each(['../canary/file', '/../canary/file', '../../etc/passwd', '/etc/passwd'])(
    'to %s are refused',
    async (target) => {
      await expect(place.apply([archive(hardLink('h', target))])).rejects.toThrow(
        `layer 1: h: it is a hard link to ${target}, which is not in the root filesystem`,
      );
    },
  );

  test('through a symbolic link are refused, or stay inside', async () => {
    await expect(
      place.apply([archive(symlink('s', '../canary'), hardLink('h', 's/file'))]),
    ).rejects.toThrow('h: it is a hard link to s/file, which is not in the root filesystem');
  });

  test('to a symbolic link do not reach what it leads to', async () => {
    const target = `${place.canary}/file`;
    await place.apply([archive(symlink('s', target), hardLink('h', 's'), file('h', 'evil'))]);
    expect(types()).toEqual(['h file', 's link']);
    expect(statSync(target).nlink).toBe(1);
  });
});

describe('a tree that someone else changes under way', () => {
  const swap = () => {
    rmSync(place.at('d'), { recursive: true });
    symlinkSync(place.canary, place.at('d'));
  };

  test.each([
    ['a file', file('d/file', 'evil')],
    ['a link', symlink('d/file', 'evil')],
    ['a whiteout', file('d/.wh.file')],
    ['a directory', directory('d/new')],
    ['its attributes', directory('d', { mode: 0o777, uid: 666 })],
  ])('does not let %s out through a symbolic link in it', async (_name, part) => {
    const lower = layer(archive(directory('d'), file('d/file')));
    const upper = layer(archive(part));
    const swapping = {
      ...upper,
      async *open() {
        swap();
        yield* upper.open();
      },
    };
    // So many that no descriptor of the directory is kept.
    const others = layer(archive(...Array.from({ length: 80 }, (_, i) => file(`other${i}/x`))));
    await expect(applyLayers(place.rootfs, [lower, others, swapping])).rejects.toThrow(
      /d(\/[^:]*)?: cannot open its directory: (not a directory|too many levels of symbolic links) \(\w+\)$/,
    );
  });
});

describe('archives that lie', () => {
  test('about the size of a file, in PAX records: what is not a header is no header', async () => {
    const inner = file('smuggled', 'x');
    // To a reader that trusts the header, the content is empty and an entry comes next.
    const outer = entry({ name: 'outer', size: 0 });
    await place.apply([archive(pax([['size', String(inner.length)]]), outer, inner)]);
    expect(types()).toEqual(['outer file']);
    expect(statSync(place.at('outer')).size).toBe(inner.length);
  });

  test.each([
    ['size', '-1', /its size is -1$/],
    ['size', '99999999999999999999', /its size is 99999999999999999999, which is beyond/],
    ['size', '0x10', /its size is "0x10", not a decimal number/],
    ['uid', '4294967295', /its uid 4294967295 is none/],
    ['gid', '-3', /its gid -3 is none/],
    ['mtime', 'now', /its modification time is "now", not a time/],
    ['path', 'a\0b', /has a NUL byte in "path"/],
    ['SCHILY.xattr.trusted.overlay.opaque\0x', 'y', /has a NUL byte in "SCHILY/],
  ])('with %s=%s are refused', async (key, value, message) => {
    await expect(place.apply([archive(pax([[key, value]]), file('x'))])).rejects.toThrow(message);
  });

  test('about a size that is more than there is', async () => {
    await expect(
      place.apply([archive(pax([['size', String(2 ** 40)]]), file('x', 'some'))]),
    ).rejects.toThrow('layer 1: x: the archive is truncated: it ends in the middle of an entry');
  });

  describe('with a gigantic sparse file', () => {
    const size = 2 ** 40;
    const tar = archive(
      pax([
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.name', 'huge'],
        ['GNU.sparse.realsize', String(size)],
      ]),
      file('x', `${`1\n${size - 4}\n4\n`.padEnd(512, '\0')}tail`),
    );

    test('get a file that is all hole', async () => {
      await place.apply([tar]);
      const found = statSync(place.at('huge'));
      expect(found.size).toBe(size);
      expect(found.blocks).toBeLessThan(64);
    });

    test('are refused where no file may be so large', () => {
      const path = join(place.canary, 'layer.tar');
      writeFileSync(path, tar);
      const inFile = { path, mediaType: TAR, diffId: diffId(tar), describe: 'layer 1' };
      const limit = ['prlimit', `--fsize=${2 ** 30}`];
      expect(applyUnderBun(place.rootfs, [inFile], limit)).toEqual({
        status: 1,
        said: 'layer 1: huge: cannot write: file too large (EFBIG)\n',
      });
      before = place.outside();
    });
  });

  test.each([
    [
      [
        [0, 4],
        [2, 4],
      ],
      'overlap or lie beyond its end',
    ],
    [
      [
        [0, 4],
        [100, 8],
      ],
      'overlap or lie beyond its end',
    ],
    [[[0, 4]], 'its sparse map tells of 4 bytes, but the archive has 8'],
    [
      [
        [0, -4],
        [0, 12],
      ],
      'overlap or lie beyond its end',
    ],
  ])('with the sparse map %j are refused', async (extents, message) => {
    const tar = archive(
      pax([
        ['GNU.sparse.map', extents.flat().join(',')],
        ['GNU.sparse.major', '0'],
        ['GNU.sparse.minor', '1'],
        ['GNU.sparse.size', '100'],
      ]),
      file('s', '12345678'),
    );
    await expect(place.apply([tar])).rejects.toThrow(message);
  });

  test('with records that lie about their own length are refused', async () => {
    for (const body of [
      '99 path=x\n',
      '1 path=x\n',
      '10 path=x\n9',
      'x path=y\n',
      '11 path=x\n',
      '4 =\n',
      '10 pathxx\n',
    ]) {
      const tar = archive(entry({ name: 'p', type: 'x', content: body }), file('x'));
      await expect(place.apply([tar])).rejects.toThrow(/its extended header is damaged/);
    }
  });

  test('with an extended header without end are refused before it is read', async () => {
    const tar = archive(entry({ name: 'p', type: 'x', size: 2 ** 31 }));
    await expect(place.apply([tar])).rejects.toThrow(/has 2147483648 bytes \(at most 1 MiB\)/);
  });

  test('with types that have no place in a layer are refused by name', async () => {
    for (const type of ['V', 'M', 'D', 'Z'])
      await expect(place.apply([archive(entry({ name: 'x', type }))])).rejects.toThrow(
        `layer 1: x: its type "${type}" has no place in a layer`,
      );
  });

  test('with names made for a terminal: errors have none of it', async () => {
    const name = 'a\u001b[2J\nlayer 9: fine\u202e\\';
    await expect(place.apply([archive(hardLink(name, 'x\r'))])).rejects.toThrow(
      'layer 1: a\\u{1b}[2J\\u{a}layer 9: fine\\u{202e}\\\\: it is a hard link to x\\u{d}, which',
    );
  });
});
