import { spawnSync } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { archiveStorage } from '../../../../bundle/image/archive.ts';
import { readExtent, type Storage } from '../../../../bundle/image/storage.ts';
import { home } from '../../../helpers/places/home-per-test.ts';
import { archive, directory, entry, file, longName, pax, symlink } from '../../../helpers/tar.ts';

let storage: Storage | undefined;
afterEach(() => {
  storage?.close();
  storage = undefined;
});

function open(bytes: Buffer): Storage {
  const path = join(home, 'archive.tar');
  writeFileSync(path, bytes);
  storage = archiveStorage(path, openSync(path, 'r'));
  return storage;
}

async function content(from: Storage, name: string): Promise<string | undefined> {
  const extent = from.open(name);
  if (extent === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of readExtent(extent)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const LONG = `blobs/sha512/${'0123456789abcdef'.repeat(8)}`;

test.each(['gnu', 'posix'])("GNU tar's format %s is read", async (format) => {
  const tree = join(home, 'tree');
  mkdirSync(join(tree, 'blobs/sha512'), { recursive: true });
  writeFileSync(join(tree, 'index.json'), 'the index');
  writeFileSync(join(tree, LONG), 'a long name'.repeat(100_000));
  const path = join(home, 'made.tar');
  const made = spawnSync('tar', ['-C', tree, `--format=${format}`, '-cf', path, '.']);
  expect(made.status).toBe(0);
  const from = open(readFileSync(path));
  expect(await content(from, 'index.json')).toBe('the index');
  expect(await content(from, LONG)).toBe('a long name'.repeat(100_000));
  expect(await content(from, 'oci-layout')).toBeUndefined();
  expect(from.topLevel()).toEqual(expect.arrayContaining(['blobs', 'index.json']));
});

test('names and sizes come from extended headers, and the last of two entries counts', async () => {
  const from = open(
    archive(
      file('a', 'old'),
      pax([
        ['path', 'long/a'],
        ['size', '3'],
      ]),
      entry({ name: 'short', content: 'new', size: 0 }),
      longName('gnu/b'),
      file('short', 'b'),
      file('./a', 'newer'),
    ),
  );
  expect(await content(from, 'long/a')).toBe('new');
  expect(await content(from, 'gnu/b')).toBe('b');
  expect(await content(from, 'a')).toBe('newer');
});

test('what is no file is not read as one', () => {
  const from = open(archive(directory('blobs'), symlink('index.json', '/etc/passwd')));
  expect(() => from.open('index.json')).toThrow('index.json is a link in the archive, not a file');
  expect(() => from.open('blobs')).toThrow('blobs is a directory in the archive, not a file');
});

test('an archive that is cut off says where', () => {
  const whole = archive(file('first', 'x'), file('second', 'y'.repeat(5000)));
  expect(() => open(whole.subarray(0, 3000))).toThrow(
    'the tar archive is cut off: second ends at byte 6536, the archive at 3000',
  );
});

test('damage and other files are told apart', () => {
  expect(() => open(Buffer.alloc(0))).toThrow('not a tar archive: it is too short');
  expect(() => open(Buffer.from('text'.repeat(1000)))).toThrow('not a tar archive');
  const damaged = archive(file('first', 'x'), file('second', 'y'));
  damaged[1024 + 5] = 0xff;
  expect(() => open(damaged)).toThrow('the tar archive is damaged at byte 1024');
});

test('a size beyond everything is refused before it is trusted', () => {
  const huge = entry({
    name: 'index.json',
    patches: [[124, Buffer.from('80000000ffffffffffffffff', 'hex')]],
  });
  expect(() => open(Buffer.concat([huge, Buffer.alloc(1024)]))).toThrow(
    /not a tar archive|cut off/,
  );
});
