import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { applyLayers } from '../../../../bundle/layers/apply.ts';
import { rootlessOwner } from '../../../../bundle/layers/privileges.ts';
import { syscall } from '../../../../runtime/linux/syscall.ts';
import { applyUnderBun } from '../../../helpers/layers.ts';
import { archive, directory, entry, file, hardLink, pax, symlink } from '../../../helpers/tar.ts';
import { readTree, readXattrs } from '../../../helpers/tree.ts';
import { diffId, layer, Place, TAR } from './fixture.ts';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.remove());

describe('a full disk', () => {
  beforeEach(() => {
    execFileSync('mount', [
      '-t',
      'tmpfs',
      '-o',
      'size=1m,nr_inodes=100',
      'scow-test',
      place.rootfs,
    ]);
  });
  afterEach(() => {
    execFileSync('umount', [place.rootfs]);
  });

  const full = (name: string, attempt: string) =>
    new RegExp(`^layer 1: ${name}: cannot ${attempt}: no space left on device \\(ENOSPC\\)$`);

  test('is told with the entry that did not fit', async () => {
    const large = file('large', Buffer.alloc(3 * 2 ** 20, 'x'));
    await expect(place.apply([archive(file('a'), large)])).rejects.toThrow(full('large', 'write'));
  });

  test('is told where a write took a part only, of a file that was closed at once', async () => {
    const first = file('first', Buffer.alloc(1_000_000));
    const second = file('second', Buffer.alloc(60_000));
    await expect(place.apply([archive(first, second)])).rejects.toThrow(full('second', 'write'));
  });

  test('is told when it has no room for names', async () => {
    const many = Array.from({ length: 200 }, (_, i) => file(`d/${i}`));
    await expect(place.apply([archive(...many)])).rejects.toThrow(full('d/98', 'create the file'));
  });

  test('leaves no descriptor open', async () => {
    const before = readdirSync('/proc/self/fd').length;
    const parts = Array.from({ length: 30 }, (_, i) => file(`${i}/x`, Buffer.alloc(100_000)));
    await expect(place.apply([archive(...parts)])).rejects.toThrow(/no space left on device/);
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });
});

test.each([0o022, 0, 0o137, 0o777])(
  'modes and owners are the archive’s, with the umask %o and a root that gives its group on',
  async (umask) => {
    chownSync(place.rootfs, 0, 7);
    chmodSync(place.rootfs, 0o2777);
    const modes = [0o644, 0o755, 0o444, 0o000, 0o777, 0o4755, 0o2644, 0o1600];
    const owners = [0, 7].flatMap((uid) => [0, 7].map((gid) => ({ uid, gid })));
    const entries = modes.flatMap((mode) => owners.map((owner) => ({ mode, ...owner })));
    const before = process.umask(umask);
    try {
      await place.apply([
        archive(
          directory('d', { mode: 0o2755, gid: 7 }),
          ...entries.map((fields, i) => file(`d/${i}`, `${i}`, fields)),
        ),
      ]);
    } finally {
      process.umask(before);
    }
    const found = entries.map((_, i) => {
      const { mode, uid, gid } = statSync(place.at(`d/${i}`));
      return { mode: mode & 0o7777, uid, gid };
    });
    expect(found).toEqual(entries);
  },
);

test('a root filesystem that is missing, a file, or not empty is an error', async () => {
  const at = (name: string) => applyLayers(join(place.path, name), []);
  const here = `${place.path}/NAME: no root filesystem can be made here: `;
  const message = (name: string) => here.replace('NAME', name);
  await expect(at('none')).rejects.toThrow(`${message('none')}no such file or directory (ENOENT)`);
  await expect(at('canary/file')).rejects.toThrow(
    `${message('canary/file')}not a directory (ENOTDIR)`,
  );
  await expect(at('canary')).rejects.toThrow(`${message('canary')}the directory is not empty`);
});

test('more directories than are kept open, in any order, and no descriptor is left', async () => {
  const names = Array.from({ length: 300 }, (_, i) => `${'d/'.repeat(i % 40)}e${i}`);
  const before = readdirSync('/proc/self/fd').length;
  await place.apply([
    archive(...names.map((name) => file(`${name}/x`, name))),
    archive(...names.toReversed().map((name) => hardLink(`${name}/y`, `${names[7]}/x`))),
    archive(...names.map((name) => file(`${name}/.wh.x`))),
  ]);
  expect(readdirSync('/proc/self/fd').length).toBe(before);
  for (const name of names) expect(readdirSync(place.at(name))).toEqual(['y']);
  expect(statSync(place.at(`${names[0]}/y`)).nlink).toBe(300);
});

test('a large file in many pieces, and many small ones', async () => {
  const large = Buffer.from(Uint8Array.from({ length: 1_500_000 }, (_, i) => (i * i) % 251));
  const small = Array.from({ length: 3000 }, (_, i) => file(`small/${i}`, `content ${i}`));
  const tar = archive(file('large', large), ...small);
  await applyLayers(place.rootfs, [layer(tar, { step: 4000 })]);
  expect(readFileSync(place.at('large')).equals(large)).toBe(true);
  for (let i = 0; i < 3000; i += 97)
    expect(readFileSync(place.at(`small/${i}`), 'utf8')).toBe(`content ${i}`);
});

test('holes of a sparse file stay holes', async () => {
  const map = { type: 'S', format: 'gnu', size: 4 } as const;
  const number = (value: number) => `${value.toString(8).padStart(11, '0')}\0`;
  await place.apply([
    archive(
      entry({
        name: 'holes',
        ...map,
        content: 'data',
        patches: [
          [386, number(2 ** 20) + number(4)],
          [483, number(2 ** 22)],
        ],
      }),
    ),
  ]);
  const { size, blocks } = statSync(place.at('holes'));
  expect(size).toBe(2 ** 22);
  expect(blocks).toBeLessThan(32);
  expect(readFileSync(place.at('holes')).indexOf('data')).toBe(2 ** 20);
});

test('what the parent directory gives its children does not come into the image', async () => {
  // acl(5): rwx for the owner, for user 1234 and for the mask, nothing for all others.
  const acl = [
    [1, 7, -1],
    [2, 7, 1234],
    [4, 0, -1],
    [16, 7, -1],
    [32, 0, -1],
  ];
  const value = Buffer.alloc(4 + 8 * acl.length);
  value.writeUInt32LE(2);
  for (const [i, [tag, permissions, id]] of acl.entries()) {
    value.writeUInt16LE(tag as number, 4 + 8 * i);
    value.writeUInt16LE(permissions as number, 6 + 8 * i);
    value.writeInt32LE(id as number, 8 + 8 * i);
  }
  const hex = `0x${value.toString('hex')}`;
  execFileSync('setfattr', ['-n', 'system.posix_acl_default', '-v', hex, place.path]);
  rmSync(place.rootfs, { recursive: true });
  mkdirSync(place.rootfs);
  await place.apply([archive(directory('d'), file('d/x'))]);
  expect([...readTree(place.rootfs).values()].map(({ xattrs }) => xattrs)).toEqual(['', '', '']);
});

describe('without privileges', () => {
  const image = archive(
    directory('./', { mode: 0o755 }),
    directory('d', { mode: 0o500, uid: 5 }),
    file('d/x', 'X', { uid: 1000, gid: 2000, mode: 0o4711 }),
    pax([
      [
        'SCHILY.xattr.security.capability',
        Buffer.from('0100000200200000000000000000000000000000', 'hex'),
      ],
    ]),
    file('ping'),
    entry({ name: 'null', type: '3', mode: 0o666, major: 1, minor: 3 }),
    entry({ name: 'fifo', type: '6', mode: 0o620 }),
    symlink('s', 'd'),
    hardLink('h', 'd/x'),
  );

  /** Does something with this thread's effective user and group being nobody's. */
  async function asNobody(action: () => Promise<void>): Promise<void> {
    syscall('setresgid', -1, 65534, -1);
    syscall('setresuid', -1, 65534, -1);
    try {
      await action();
    } finally {
      syscall('setresuid', -1, 0, -1);
      syscall('setresgid', -1, 0, -1);
    }
  }

  test('an ordinary user gets everything but owners, devices and capabilities', async () => {
    const warnings: string[] = [];
    chmodSync(place.path, 0o755);
    chownSync(place.rootfs, 65534, 65534);
    await asNobody(() =>
      place.apply(
        [
          image,
          archive(file('d/later')),
          archive(
            file('.wh.d'),
            directory('d', { mode: 0o500, uid: 5 }),
            file('d/x', 'X', { uid: 1000, gid: 2000, mode: 0o4711 }),
            hardLink('h', 'd/x'),
          ),
        ],
        {
          onWarning: (line) => warnings.push(line),
        },
      ),
    );
    const tree = readTree(place.rootfs);
    const owner = '65534:65534';
    expect(tree.get('d')).toMatchObject({ mode: '500', owner });
    expect(tree.get('d/x')).toMatchObject({ mode: '4711', owner, firstLink: 'd/x' });
    expect(tree.get('h')?.firstLink).toBe('d/x');
    expect(tree.get('null')).toMatchObject({ type: 'file', mode: '666', size: '0' });
    expect(tree.get('fifo')).toMatchObject({ type: 'FIFO', mode: '620' });
    expect(tree.get('ping')?.xattrs).toBe('');
    expect(readXattrs(place.at('d/x'))).toEqual([
      ['user.rootlesscontainers', rootlessOwner(1000, 2000)?.value],
    ]);
    expect(warnings).toEqual([
      'layer 1: null: an empty file takes the place of a device (told once)',
      'layer 1: ping: security.capability is left out: it takes a privilege (told once)',
    ]);
  });

  test('a mode that forbids writing does not keep the owner from being noted', async () => {
    chmodSync(place.path, 0o755);
    chownSync(place.rootfs, 65534, 65534);
    const modes = [0o0, 0o444, 0o111, 0o200, 0o4555];
    const owned = { uid: 7, gid: 42 };
    await asNobody(() =>
      place.apply([
        archive(
          ...modes.map((mode) => file(`file-${mode.toString(8)}`, 'x', { mode, ...owned })),
          ...modes.map((mode) => directory(`dir-${mode.toString(8)}`, { mode, ...owned })),
          entry({ name: 'device', type: '4', major: 8, mode: 0, ...owned }),
          pax([['SCHILY.xattr.user.own', 'o']]),
          file('with-others', '', { mode: 0, ...owned }),
        ),
      ]),
    );
    const tree = readTree(place.rootfs);
    for (const mode of modes.map((number) => number.toString(8)))
      for (const name of [`file-${mode}`, `dir-${mode}`])
        expect({ name, mode: tree.get(name)?.mode }).toEqual({ name, mode });
    const note = ['user.rootlesscontainers', rootlessOwner(7, 42)?.value];
    for (const name of [...tree.keys()].filter((key) => key !== '.'))
      expect(readXattrs(place.at(name))).toContainEqual(note);
    expect(readXattrs(place.at('with-others'))).toHaveLength(2);
  });

  test('the owner is kept where it can be read again, as other rootless tools have it', () => {
    expect(rootlessOwner(0, 0)).toBeUndefined();
    expect(rootlessOwner(1000, 0)?.value.toString('hex')).toBe('08e80710ffffffff0f');
    expect(rootlessOwner(5, 4_000_000_000)?.value.toString('hex')).toBe('08051080d0acf30e');
  });

  test('the root of a user namespace gets all but devices', () => {
    const tar = join(place.path, 'image.tar');
    const ours = archive(
      file('x', 'X', { mode: 0o4711 }),
      entry({ name: 'null', type: '3', mode: 0o666, major: 1, minor: 3 }),
    );
    writeFileSync(tar, ours);
    const inFile = { path: tar, mediaType: TAR, diffId: diffId(ours), describe: 'layer 1' };
    expect(applyUnderBun(place.rootfs, [inFile], ['unshare', '--map-root-user'])).toEqual({
      status: 0,
      said: 'layer 1: null: an empty file takes the place of a device (told once)\n',
    });
    const tree = readTree(place.rootfs);
    expect(tree.get('x')).toMatchObject({ mode: '4711', owner: '0:0' });
    expect(tree.get('null')).toMatchObject({ type: 'file', mode: '666', size: '0' });
  });
});
