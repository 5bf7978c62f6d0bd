import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { O } from '../../../runtime/linux/constants.ts';
import {
  chownSync,
  existsSync,
  fileSystemTypeOf,
  fstatSync,
  listSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  statIfThere,
  statSync,
  tryLstat,
  unlinkIfThere,
  unlinkSync,
  writeFileSync,
} from '../../../runtime/linux/files.ts';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'scow-files-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

const codeOf = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
  return undefined;
};

test.each([0, 1, 65535, 65536, 65537, 131072, 200_001])(
  'a file of %d bytes is read whole',
  (size) => {
    const path = join(folder, 'file');
    const content = Buffer.alloc(size, 'añ¬');
    fs.writeFileSync(path, content);
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(readFileSync(path, 'latin1')).toBe(content.toString('latin1'));
    expect(readFileSync(path, 'utf8')).toBe(content.toString('utf8'));
    const fd = fs.openSync(path, 'r');
    expect(readFileSync(fd).equals(content)).toBe(true);
    fs.closeSync(fd);
  },
);

test('a file of /proc, which has no size, is read whole', () => {
  const own = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  expect(own).toEqual(fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n'));
});

test('what was read before is not changed by what is read next', () => {
  fs.writeFileSync(join(folder, 'a'), 'first');
  fs.writeFileSync(join(folder, 'b'), 'other');
  const first = readFileSync(join(folder, 'a'));
  readFileSync(join(folder, 'b'));
  expect(first.toString()).toBe('first');
});

test('a file is written: new, in place of what was in it, and not where one is', () => {
  const path = join(folder, 'file');
  const umask = process.umask(0o022);
  try {
    writeFileSync(path, 'a long text', { mode: 0o606 });
    writeFileSync(path, Uint8Array.of(0x68, 0x69));
  } finally {
    process.umask(umask);
  }
  expect(fs.readFileSync(path, 'utf8')).toBe('hi');
  expect(fs.statSync(path).mode & 0o777).toBe(0o604);
  const flag = O.WRONLY | O.CREAT | O.EXCL;
  expect(codeOf(() => writeFileSync(path, 'x', { flag }))).toBe('EEXIST');
  const large = 'x'.repeat(3_000_000);
  writeFileSync(path, large);
  expect(fs.readFileSync(path, 'utf8')).toBe(large);
});

test('names are as the kernel has them', () => {
  const name = 'ein Näme\nmit 中文';
  mkdirSync(join(folder, name), 0o700);
  fs.writeFileSync(join(folder, 'file'), '');
  fs.symlinkSync(name, join(folder, 'link'));
  expect(listSync(folder).toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
    { name, directory: true },
    { name: 'file', directory: false },
    { name: 'link', directory: false },
  ]);
  expect(readlinkSync(join(folder, 'link'))).toBe(name);
  expect(realpathSync(join(folder, 'link/..//link/.'))).toBe(join(fs.realpathSync(folder), name));
  renameSync(join(folder, 'file'), join(folder, name, 'moved'));
  expect(existsSync(join(folder, 'link/moved'))).toBe(true);
  expect(codeOf(() => rmdirSync(join(folder, name)))).toBe('ENOTEMPTY');
  unlinkSync(join(folder, name, 'moved'));
  rmdirSync(join(folder, name));
  expect(existsSync(join(folder, 'link'))).toBe(false);
});

test('what files are', async () => {
  const at = (name: string) => join(folder, name);
  fs.writeFileSync(at('file'), '12345', { mode: 0o4750 });
  fs.chmodSync(at('file'), 0o4750);
  fs.symlinkSync('file', at('link'));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(at('socket'), resolve));
  const { mode, size, identity } = statSync(at('link'));
  expect({ mode, size }).toEqual({ mode: fs.statSync(at('file')).mode, size: 5 });
  expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
  expect(statSync(at('socket')).isSocket()).toBe(true);
  expect(statSync(folder).isDirectory()).toBe(true);
  const fd = openSync(at('file'), O.RDONLY);
  expect(fstatSync(fd).identity).toBe(identity);
  expect(fstatSync(fd).isFile()).toBe(true);
  fs.closeSync(fd);
  expect(lstatSync(at('link')).identity).not.toBe(identity);
  chownSync(at('file'), 7, -1);
  expect(fs.statSync(at('file'))).toMatchObject({ uid: 7, gid: fs.statSync(folder).gid });
  await new Promise((resolve) => server.close(resolve));
});

test('what is not there', () => {
  const path = join(folder, 'none');
  for (const use of [
    readFileSync,
    statSync,
    lstatSync,
    readlinkSync,
    realpathSync,
    listSync,
    unlinkSync,
  ])
    expect([use.name, codeOf(() => use(path))]).toEqual([use.name, 'ENOENT']);
  expect([statIfThere(path), tryLstat(path)]).toEqual([undefined, undefined]);
  unlinkIfThere(path);
  expect(codeOf(() => unlinkIfThere(join(path, 'below')))).toBe(undefined);
  expect(codeOf(() => statSync('a\0b'))).toBe(undefined);
  expect(() => statSync('a\0b')).toThrow('contains a NUL byte');
});

test('the type of a file system is that of statfs(2)', () => {
  expect(fileSystemTypeOf('/proc')).toBe(fs.statfsSync('/proc').type);
});
