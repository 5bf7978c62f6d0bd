import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import {
  archive,
  directory,
  entry,
  file,
  hardLink,
  longName,
  pax,
  symlink,
} from '../../../helpers/tar.ts';
import { readTree, readXattrs } from '../../../helpers/tree.ts';
import { Place } from './fixture.ts';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.remove());

const content = (name: string) => readFileSync(place.at(name), 'utf8');
const record = (name: string) => readTree(place.rootfs).get(name);

describe('whiteouts', () => {
  const lower = archive(
    file('file1', '1'),
    directory('a'),
    file('a/file2', '2'),
    directory('b'),
    directory('b/c'),
    file('b/c/file3', '3'),
    symlink('l', 'a'),
  );

  test('remove what lower layers have, and are not seen themselves', async () => {
    await place.apply([
      lower,
      archive(file('.wh.file1'), file('a/.wh.file2'), file('.wh.b'), file('file4', '4')),
    ]);
    expect(place.names()).toEqual(['a', 'file4', 'l']);
  });

  test('leave alone what their own layer has, before and after them', async () => {
    await place.apply([
      lower,
      archive(file('file1', 'new'), file('.wh.file1'), file('a/.wh.file2'), file('a/file2', 'new')),
    ]);
    expect([content('file1'), content('a/file2')]).toEqual(['new', 'new']);
  });

  test('of a directory that their layer went into leave only what the layer brought', async () => {
    await place.apply([lower, archive(file('b/new', 'n'), file('.wh.b'))]);
    expect(place.names().filter((name) => name.startsWith('b'))).toEqual(['b', 'b/new']);
  });

  test('of nothing are no error, and create nothing', async () => {
    await place.apply([archive(file('.wh.none'), file('no/where/.wh.x'), file('no/.wh..wh..opq'))]);
    expect(place.names()).toEqual([]);
  });

  test('remove a symbolic link, not what it leads to', async () => {
    await place.apply([lower, archive(file('.wh.l'))]);
    expect(place.names()).not.toContain('l');
    expect(content('a/file2')).toBe('2');
  });

  test('reach through a symbolic link to a directory, inside the root', async () => {
    await place.apply([lower, archive(file('l/.wh.file2'))]);
    expect(place.names()).not.toContain('a/file2');
  });

  test.each(['first', 'last'])(
    'that are opaque count for lower layers, coming %s',
    async (order) => {
      const upper = [directory('b'), directory('b/c'), file('b/c/foo', 'new')];
      const opaque = file('b/.wh..wh..opq');
      await place.apply([
        lower,
        archive(...(order === 'first' ? [opaque, ...upper] : [...upper, opaque])),
      ]);
      expect(place.names().filter((name) => name.startsWith('b'))).toEqual(['b', 'b/c', 'b/c/foo']);
    },
  );

  test('that are opaque at the root hide all lower layers', async () => {
    await place.apply([lower, archive(file('new'), file('.wh..wh..opq'))]);
    expect(place.names()).toEqual(['new']);
  });

  test('that are opaque keep the attributes of the directory', async () => {
    await place.apply([
      archive(directory('d', { mode: 0o710, mtime: 77 }), file('d/x')),
      archive(file('d/.wh..wh..opq')),
    ]);
    expect(record('d')).toMatchObject({ mode: '710', mtime: '77000000000' });
  });

  test("aufs's own files are no content", async () => {
    await place.apply([archive(directory('.wh..wh.plnk'), file('.wh..wh.plnk/1.2'), file('x'))]);
    expect(place.names()).toEqual(['x']);
  });

  test.each([
    ['.wh.', 'a whiteout of nothing'],
    ['a/.wh.', 'a whiteout of nothing'],
    ['.wh..', 'a whiteout of "."'],
    ['.wh...', 'a whiteout of ".."'],
    ['.wh.d/file', 'below a name that begins with .wh.'],
  ])('named %s are refused', async (name, message) => {
    await expect(place.apply([lower, archive(file(name))])).rejects.toThrow(
      `layer 2: ${name}: it ${message.startsWith('below') ? 'lies' : 'is'} ${message}`,
    );
  });
});

describe('what is there already', () => {
  test('a directory under a directory keeps its content and takes the attributes', async () => {
    await place.apply([
      archive(
        pax([['SCHILY.xattr.user.old', 'o']]),
        directory('d', { mode: 0o700, mtime: 5 }),
        file('d/x'),
      ),
      archive(
        pax([['SCHILY.xattr.user.new', 'n']]),
        directory('d/', { mode: 0o1777, uid: 7, gid: 8 }),
      ),
    ]);
    expect(place.names()).toEqual(['d', 'd/x']);
    expect(record('d')).toMatchObject({
      mode: '1777',
      owner: '7:8',
      mtime: '1000000000000000000',
      xattrs: 'user.new=6e',
    });
  });

  test('a directory gives way to a file, a file to a directory, a link to both', async () => {
    await place.apply([
      archive(directory('d'), directory('d/e'), file('d/e/x'), file('f'), symlink('l', 'd')),
      archive(file('d', 'now a file'), directory('f'), file('f/in'), directory('l')),
      archive(directory('d'), symlink('f', 'd'), file('l', 'now a file')),
    ]);
    expect([...readTree(place.rootfs)].map(([name, { type }]) => `${name} ${type}`)).toEqual([
      '. directory',
      'd directory',
      'f link',
      'l file',
    ]);
  });

  test('a file is replaced, not written to: its other names keep the old content', async () => {
    await place.apply([archive(file('a', 'old'), hardLink('b', 'a')), archive(file('a', 'new'))]);
    expect([content('a'), content('b')]).toEqual(['new', 'old']);
  });

  test('of two entries with one name the last counts', async () => {
    await place.apply([
      archive(
        file('a', 'first'),
        directory('d'),
        file('d/x'),
        file('d', 'file'),
        file('a', 'last'),
      ),
    ]);
    expect([content('a'), content('d')]).toEqual(['last', 'file']);
  });

  test('a device takes the place of a directory', async () => {
    await place.apply([
      archive(directory('d'), file('d/x'), entry({ name: 'd', type: '3', major: 1, minor: 3 })),
    ]);
    expect(record('d')).toMatchObject({ type: 'character device', rdev: String((1 << 8) | 3) });
  });
});

describe('hard links', () => {
  test('join names, whatever kind of file it is, and reach lower layers', async () => {
    await place.apply([
      archive(directory('lib'), file('lib/a', 'A'), symlink('s', 'nowhere'), symlink('to', 'lib')),
      archive(
        hardLink('b', 'lib/a'),
        hardLink('c', './to/a'),
        hardLink('s2', '/s'),
        entry({ name: 'p', type: '6', mode: 0o600 }),
        hardLink('p2', 'p'),
      ),
    ]);
    const tree = readTree(place.rootfs);
    expect(['b', 'c', 'lib/a'].map((name) => tree.get(name)?.firstLink)).toEqual(['b', 'b', 'b']);
    expect(tree.get('s2')).toMatchObject({ type: 'link', target: 'nowhere', firstLink: 's' });
    expect(tree.get('p2')).toMatchObject({ type: 'FIFO', firstLink: 'p' });
  });

  test("do not take on what the link's own entry says of owner and mode", async () => {
    await place.apply([
      archive(
        file('a', 'A', { mode: 0o4755, uid: 3 }),
        entry({ name: 'b', type: '1', linkName: 'a', mode: 0o777, uid: 9, size: 512 }),
      ),
    ]);
    expect(record('a')).toMatchObject({ mode: '4755', owner: '3:0' });
  });

  test('a symbolic link with another name still leads there', async () => {
    await place.apply([
      archive(directory('d'), symlink('s', 'd'), hardLink('t', 's'), file('t/x', 'x')),
    ]);
    expect(place.names()).toContain('d/x');
  });

  test.each([
    ['none', 'a hard link to none, which is not in the root filesystem'],
    ['d', 'a hard link to d, which is a directory'],
    ['', 'a hard link to , which is not in the root filesystem'],
    ['h', 'a hard link to h, which is not in the root filesystem'],
  ])('to %j are refused', async (target, message) => {
    await expect(place.apply([archive(directory('d'), hardLink('h', target))])).rejects.toThrow(
      `layer 1: h: it is ${message}`,
    );
  });

  test('to themselves are refused', async () => {
    await expect(place.apply([archive(file('h'), hardLink('h', './h'))])).rejects.toThrow(
      'layer 1: h: it is a hard link to itself',
    );
  });
});

describe('attributes', () => {
  test('mode, owner, time and extended attributes, in an order that keeps them all', async () => {
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    await place.apply([
      archive(
        pax([
          ['SCHILY.xattr.security.capability', capability],
          ['SCHILY.xattr.user.bytes', Buffer.from([0xff, 0x00, 0x0a, 0x3d])],
          ['mtime', '1234567890.123456789'],
        ]),
        file('ping', 'elf', { mode: 0o6755, uid: 1000, gid: 2000 }),
      ),
    ]);
    expect(record('ping')).toMatchObject({
      mode: '6755',
      owner: '1000:2000',
      mtime: '1234567890123456789',
    });
    expect(readXattrs(place.at('ping'))).toEqual([
      ['security.capability', capability],
      ['user.bytes', Buffer.from([0xff, 0x00, 0x0a, 0x3d])],
    ]);
  });

  test('times before the epoch, and owners beyond what octal can say', async () => {
    await place.apply([
      archive(
        pax([
          ['mtime', '-1.25'],
          ['uid', '4000000000'],
          ['gid', '3000000'],
        ]),
        file('old'),
      ),
    ]);
    expect(record('old')).toMatchObject({ mtime: '-1250000000', owner: '4000000000:3000000' });
  });

  test("a directory's time is that of its entry, whatever came into it or went later", async () => {
    await place.apply([
      archive(
        directory('d', { mtime: 11 }),
        file('d/a'),
        file('d/b'),
        directory('d/e', { mtime: 12 }),
      ),
      archive(file('d/.wh.a'), file('d/c'), file('d/e/f')),
    ]);
    expect([record('d')?.mtime, record('d/e')?.mtime]).toEqual(['11000000000', '12000000000']);
  });

  test('files come into a directory that nobody may write to or look into', async () => {
    await place.apply([archive(directory('d', { mode: 0 }), file('d/x', 'X'))]);
    expect(record('d')?.mode).toBe('0');
    expect(content('d/x')).toBe('X');
  });

  test('symbolic links have an owner and a time', async () => {
    await place.apply([
      archive(entry({ name: 's', linkName: '/x', type: '2', uid: 5, gid: 6, mtime: 99 })),
    ]);
    expect(record('s')).toMatchObject({ owner: '5:6', mtime: '99000000000', target: '/x' });
  });

  test('FIFOs and devices keep all bits of their mode', async () => {
    await place.apply([
      archive(
        entry({ name: 'p', type: '6', mode: 0o1666, uid: 4 }),
        entry({ name: 'c', type: '3', mode: 0o660, major: 300, minor: 70000 }),
        entry({ name: 'b', type: '4', mode: 0o666, major: 8, minor: 1 }),
      ),
    ]);
    expect(record('p')).toMatchObject({ type: 'FIFO', mode: '1666', owner: '4:0' });
    expect(record('c')).toMatchObject({ type: 'character device', mode: '660' });
    const numbers = execFileSync('stat', ['-c', '%t:%T', place.at('c')], { encoding: 'utf8' });
    expect(numbers).toBe(`${(300).toString(16)}:${(70000).toString(16)}\n`);
    expect(record('b')).toMatchObject({ type: 'block device', rdev: String((8 << 8) | 1) });
  });

  test('a node takes extended attributes too', async () => {
    await place.apply([
      archive(
        pax([['SCHILY.xattr.trusted.t', 'v']]),
        symlink('s', 'x'),
        pax([['SCHILY.xattr.trusted.t', 'w']]),
        entry({ name: 'p', type: '6' }),
      ),
    ]);
    expect(readXattrs(place.at('s'))).toEqual([['trusted.t', Buffer.from('v')]]);
    expect(readXattrs(place.at('p'))).toEqual([['trusted.t', Buffer.from('w')]]);
  });

  test("attributes of the host's own are left out, with a warning", async () => {
    const warnings: string[] = [];
    await place.apply(
      [archive(pax([['SCHILY.xattr.trusted.overlay.opaque', 'y']]), directory('d'))],
      { onWarning: (line) => warnings.push(line) },
    );
    expect(readXattrs(place.at('d'))).toEqual([]);
    expect(warnings).toEqual(['layer 1: d: trusted.overlay.opaque is left out (told once)']);
  });

  test('parents that no entry describes are open to all, with a fixed time', async () => {
    await place.apply([archive(file('a/b/c', 'x'))]);
    for (const name of ['.', 'a', 'a/b'])
      expect(record(name)).toMatchObject({ mode: '755', owner: '0:0', mtime: '0' });
  });

  test("the root's own entry describes it, by any of its names", async () => {
    for (const name of ['./', '/', 'a/..', '']) {
      const other = new Place();
      await other.apply([archive(directory(name, { mode: 0o751, uid: 3, mtime: 42 }))]);
      expect(readTree(other.rootfs).get('.')).toMatchObject({
        mode: '751',
        owner: '3:0',
        mtime: '42000000000',
      });
      other.remove();
    }
  });
});

describe('names', () => {
  test('are bytes', async () => {
    const name = Buffer.from([0x66, 0xff, 0xfe, 0x0a, 0xc3]);
    await place.apply([
      archive(
        file(name, 'x'),
        symlink(Buffer.from([0xe9]), name),
        pax([['path', Buffer.from([0x80])]]),
        file('x'),
      ),
    ]);
    expect(place.names()).toEqual([name.toString('latin1'), '\x80', '\xe9']);
    expect(record('\xe9')?.target).toBe(name.toString('latin1'));
  });

  test('may be long, by PAX, by GNU, and by the prefix of ustar', async () => {
    const long = `${'d'.repeat(120)}/${'e'.repeat(120)}/${'f'.repeat(255)}`;
    await place.apply([
      archive(
        pax([['path', `1/${long}`]]),
        file('short'),
        longName(`2/${long}`),
        file('short', '', { format: 'gnu' }),
        longName('t'.repeat(300), 'K'),
        longName('2/link'),
        entry({ name: 'short', type: '2', linkName: 'short', format: 'gnu' }),
        file('name', '', { prefix: `3/${'p'.repeat(100)}` }),
      ),
    ]);
    expect(place.names()).toEqual(
      expect.arrayContaining([`1/${long}`, `2/${long}`, `3/${'p'.repeat(100)}/name`]),
    );
    expect(record('2/link')?.target).toBe('t'.repeat(300));
  });

  test('too long for the kernel are an error that says so', async () => {
    await expect(
      place.apply([archive(pax([['path', 'x'.repeat(256)]]), file('x'))]),
    ).rejects.toThrow(
      /^layer 1: x{256}: cannot create the file: file name too long \(ENAMETOOLONG\)$/,
    );
    const deep = 'd/'.repeat(3000);
    await expect(place.apply([archive(pax([['path', `${deep}x`]]), file('x'))])).rejects.toThrow(
      /its path is too long: 4096 bytes \(at most 4095\)$/,
    );
  });
});
