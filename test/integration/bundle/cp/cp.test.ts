import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { bundlerCommand } from '../../../helpers/bundler.ts';
import { archive, directory, file, symlink } from '../../../helpers/tar.ts';
import { Workshop } from '../workshop.ts';

/** Files between bundles and the host, as `docker cp` copies them. */

let shop: Workshop;
let bundle: string;
let host: string;

beforeAll(() => {
  shop = new Workshop();
});
beforeEach(() => {
  bundle = shop.bundle('create');
  host = shop.next('host');
  mkdirSync(join(host, 'tree/sub'), { recursive: true });
  writeFileSync(join(host, 'tree/a'), 'A');
  linkSync(join(host, 'tree/a'), join(host, 'tree/sub/b'));
  symlinkSync('/tree/a', join(host, 'tree/link'));
  execFileSync('mkfifo', [join(host, 'tree/fifo')]);
  execFileSync('mknod', [join(host, 'tree/null'), 'c', '1', '3']);
  chownSync(join(host, 'tree/a'), 5, 6);
  chmodSync(join(host, 'tree/a'), 0o4751);
  for (const path of ['tree/a', 'tree/sub', 'tree'])
    utimesSync(join(host, path), 1, 1_000_000_000.25);
});
afterEach(() => {
  shop.ok('delete', bundle);
});
afterAll(() => shop.close());

const inside = (...path: string[]) => join(bundle, 'rootfs', ...path);
const text = (path: string) => readFileSync(path, 'utf8');

/** Runs `cp` under an engine, with something at its standard input. */
function stream(engine: 'bun' | 'node', input: Buffer | undefined, ...args: string[]) {
  const [command, ...first] = bundlerCommand(engine);
  const { status, stdout, stderr } = spawnSync(command, [...first, 'cp', ...args], { input });
  return { status, stdout, stderr: stderr.toString() };
}

test('modes and times are kept, owners and devices with --archive', () => {
  const { status, stderr } = shop.try('cp', join(host, 'tree'), `${bundle}:/new`);
  expect([status, stderr.split('\n').sort()]).toEqual([
    0,
    [
      '',
      'scow-bundle: warning: new/a is no longer setuid or setgid: --archive keeps it with its owner',
      'scow-bundle: warning: new/null is a character device, left out: --archive copies it',
    ],
  ]);
  expect(statSync(inside('new/a'))).toMatchObject({ mode: 0o100751, uid: 0, gid: 0, nlink: 2 });
  expect(statSync(inside('new/sub/b')).ino).toBe(statSync(inside('new/a')).ino);
  for (const path of ['new/a', 'new/sub', 'new'])
    expect(statSync(inside(path)).mtimeMs).toBe(1_000_000_000_250);
  expect(readlinkSync(inside('new/link'))).toBe('/tree/a');
  expect(lstatSync(inside('new/fifo')).isFIFO()).toBe(true);
  expect(existsSync(inside('new/null'))).toBe(false);

  expect(shop.try('cp', '-a', `${host}/tree`, `${bundle}:/all`)).toMatchObject({ stderr: '' });
  expect(statSync(inside('all/a'))).toMatchObject({ mode: 0o104751, uid: 5, gid: 6 });
  expect(statSync(inside('all/null'))).toMatchObject({ rdev: 0x103 });
  shop.ok('cp', '-a', `${bundle}:/all/a`, join(host, 'back'));
  expect(statSync(join(host, 'back'))).toMatchObject({ mode: 0o104751, uid: 5, gid: 6 });
});

test('a destination is a directory to copy into, or a new name; /. means what is inside', () => {
  const tree = join(host, 'tree');
  shop.ok('cp', '-a', tree, `${bundle}:/`);
  expect(readdirSync(inside('tree')).sort()).toEqual(['a', 'fifo', 'link', 'null', 'sub']);
  writeFileSync(inside('tree/a'), 'changed');
  writeFileSync(inside('tree/keep'), 'kept');
  shop.ok('cp', '-a', `${tree}/.`, `${bundle}:tree`);
  expect([text(inside('tree/a')), text(inside('tree/keep'))]).toEqual(['A', 'kept']);

  shop.ok('cp', '-a', `${bundle}:/tree`, join(host, 'out'));
  expect(readdirSync(join(host, 'out'))).toContain('keep');
  shop.ok('cp', '-a', `${bundle}:/tree/sub`, join(host, 'out/fresh'));
  expect(readdirSync(join(host, 'out/fresh'))).toEqual(['b']);
  shop.ok('cp', `${bundle}:/tree/link`, host);
  shop.ok('cp', '-L', `${bundle}:/tree/link`, join(host, 'followed'));
  expect(readlinkSync(join(host, 'link'))).toBe('/tree/a');
  expect(text(join(host, 'followed'))).toBe('A');
  shop.ok('unmount', bundle);
  shop.ok('cp', `${bundle}:/tree/keep`, join(host, 'unmounted'));
  expect(text(join(host, 'unmounted'))).toBe('kept');
});

test.each(['bun', 'node'] as const)('an archive goes through pipes, under %s', (engine) => {
  const input = archive(directory('d', { mode: 0o700 }), file('d/f', 'F'), file('up/f', 'U'));
  expect(stream(engine, input, '-', `${bundle}:/`)).toMatchObject({ status: 0, stderr: '' });
  expect([text(inside('d/f')), text(inside('up/f'))]).toEqual(['F', 'U']);
  const list = (path: string) => {
    const { stdout } = stream(engine, undefined, `${bundle}:${path}`, '-');
    return execFileSync('tar', ['-t'], { input: stdout }).toString();
  };
  expect(list('/d')).toBe('d/\nd/f\n');
  expect(list('/d/.')).toBe('./\nf\n');
  expect(stream(engine, Buffer.alloc(100, 'x'), '-', `${bundle}:/`)).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/^scow-bundle: .*truncated.*\n$/),
  });
});

test('links lead nowhere outside of a bundle, nor out of a directory of the host', () => {
  const secret = join(host, 'secret');
  writeFileSync(secret, 'secret');
  symlinkSync(host, inside('out'));
  symlinkSync(secret, inside('file'));
  expect(shop.try('cp', `${bundle}:/out/secret`, join(host, 'x')).status).toBe(1);
  expect(shop.try('cp', '-L', `${bundle}:/file`, join(host, 'x')).status).toBe(1);
  writeFileSync(join(host, 'mine'), 'mine');
  shop.try('cp', join(host, 'mine'), `${bundle}:/file`);
  shop.try('cp', join(host, 'mine'), `${bundle}:/out/secret`);
  for (const hostile of [file('l/secret', 'gone'), file('../../secret', 'gone')])
    stream('bun', archive(symlink('l', host), hostile), '-', `${bundle}:/`);
  expect(text(secret)).toBe('secret');
  expect(text(inside('secret'))).toBe('gone');
});

test('mistakes are told in one line', () => {
  const a = join(host, 'tree/a');
  const tree = join(host, 'tree');
  const wrong: [from: string, to: string, message: string][] = [
    [a, tree, 'neither side is a path in a bundle: want BUNDLE:PATH for one of them'],
    [`${host}/none:/a`, tree, `there is no bundle ${host}/none: it has no config.json`],
    [`${bundle}:/none`, tree, `cannot read ${bundle}:/none: there is no such file or directory`],
    [join(host, 'none'), `${bundle}:/`, 'there is no such file or directory'],
    [a, `${bundle}:/none/`, `cannot write to ${bundle}:/none/: there is no such directory`],
    [a, `${bundle}:/none/a`, 'cannot open the directory /none: no such file or directory'],
    [`${a}/`, `${bundle}:/`, 'it is not a directory'],
    [tree, `${bundle}:/plain`, 'is not a directory, which a directory could be copied to'],
    [`${bundle}:/`, `${bundle}:/tmp`, 'it is in the directory that is to be copied'],
    [a, `${bundle}:/fifo`, 'a device, a FIFO or a socket, which is not replaced'],
    [a, `${bundle}:/`, 'there is a directory of this name, which is not replaced'],
    ['-', `${bundle}:/plain`, 'is no directory: a tar archive is unpacked into one'],
  ];
  writeFileSync(inside('plain'), '');
  mkdirSync(inside('a'));
  for (const [from, to, message] of wrong) {
    const { status, stderr } = shop.try('cp', from, to);
    expect([status, stderr]).toEqual([1, expect.stringContaining(message)]);
    expect(stderr.replace(/^.* is no longer setuid .*\n/, '').split('\n')).toHaveLength(2);
  }
  expect(readdirSync(inside()).filter((name) => name.startsWith('.scow-'))).toEqual([]);
  shop.ok('unmount', bundle);
  expect(shop.try('cp', a, `${bundle}:/`).stderr).toContain(`scow-bundle mount ${bundle}`);
});

test('many small files, one of which finds something else in its place', () => {
  const files = Array.from({ length: 150 }, (_, i) => `many/${String(i).padStart(3, '0')}`);
  const content = (name: string) => `of ${name}`;
  const input = archive(...files.map((name) => file(name, content(name), { mode: 0o640 })));
  const cp = () => stream('bun', input, '-', `${bundle}:/`);
  expect(cp()).toMatchObject({ status: 0, stderr: '' });
  for (const name of files) expect(text(inside(name))).toBe(content(name));
  expect(statSync(inside('many/149'))).toMatchObject({ mode: 0o100640 });
  for (const [wrong, make, why] of [
    [100, (path: string) => mkdirSync(path), 'there is a directory of this name'],
    [70, (path: string) => execFileSync('mkfifo', [path]), 'there is a device, a FIFO or a socket'],
  ] as const) {
    rmSync(inside('many'), { recursive: true });
    mkdirSync(inside('many'));
    for (const name of files) writeFileSync(inside(name), 'old');
    rmSync(inside(files[wrong] as string));
    make(inside(files[wrong] as string));
    expect(cp().stderr).toMatch(new RegExp(`^scow-bundle: ${files[wrong]}: ${why}.*\n$`));
    expect(text(inside(files[wrong - 1] as string))).toBe(content(files[wrong - 1] as string));
    expect(text(inside(files[wrong + 1] as string))).toBe('old');
    expect(readdirSync(inside('many'))).toHaveLength(150);
  }
});
