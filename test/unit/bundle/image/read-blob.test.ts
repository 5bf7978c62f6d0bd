import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { directoryStorage } from '../../../../bundle/image/directory.ts';
import { layoutBlobs } from '../../../../bundle/image/layout-source.ts';
import { readBlob, readDocument } from '../../../../bundle/image/read-blob.ts';
import type { BlobSource } from '../../../../bundle/image/source.ts';
import type { Descriptor } from '../../../../schemas/image.ts';
import { digestOf } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-test.ts';
import { layout } from '../../../helpers/places/layout-per-test.ts';

let storage: BlobSource;
beforeEach(() => {
  storage = layoutBlobs(directoryStorage(layout.path, openSync(layout.path, 'r')));
});
afterEach(() => {
  storage.close();
});

const read = async (descriptor: Descriptor) =>
  (await readDocument(storage, descriptor, 'blob')).toString();

const openFiles = () => readdirSync('/proc/self/fd').length;

test.each(['sha256', 'sha512'] as const)('a blob named by %s is read', async (algorithm) => {
  expect(await read(layout.blob('text/plain', Buffer.from('hello'), algorithm))).toBe('hello');
  expect(await read(layout.blob('text/plain', Buffer.alloc(0), algorithm))).toBe('');
});

test('a large blob comes in order, and its file is closed even if nobody reads to the end', async () => {
  const content = Buffer.from(Uint32Array.from({ length: 500_000 }, (_, i) => i).buffer);
  const descriptor = layout.blob('text/plain', content);
  const before = openFiles();
  expect(digestOf(await readDocument(storage, descriptor, 'blob'))).toBe(digestOf(content));
  for await (const chunk of readBlob(storage, descriptor, 'blob')) {
    expect(chunk.byteLength).toBeGreaterThan(0);
    break;
  }
  expect(openFiles()).toBe(before);
});

test('another content is refused, naming both digests', async () => {
  const descriptor = layout.blob('text/plain', Buffer.from('hello'));
  writeFileSync(layout.file(descriptor.digest), 'jello');
  await expect(read(descriptor)).rejects.toThrow(
    `blob (${descriptor.digest}): the content in ${layout.path} is not what this digest names, but ${digestOf(Buffer.from('jello'))}`,
  );
});

test('another size is refused before anything is read', async () => {
  const descriptor = layout.blob('text/plain', Buffer.from('hello'));
  appendFileSync(layout.file(descriptor.digest), '!');
  await expect(read(descriptor)).rejects.toThrow(
    `blob (${descriptor.digest}): is 6 bytes long, but its descriptor says 5`,
  );
  truncateSync(layout.file(descriptor.digest), 2);
  await expect(read(descriptor)).rejects.toThrow('is 2 bytes long, but its descriptor says 5');
});

test('a missing blob is named by its file', async () => {
  const descriptor = layout.blob('text/plain', Buffer.from('hello'));
  unlinkSync(layout.file(descriptor.digest));
  await expect(read(descriptor)).rejects.toThrow(
    `blob (${descriptor.digest}): is missing in ${layout.path}`,
  );
});

test.each([
  ['../../../etc/passwd', '"../../../etc/passwd" is not a digest'],
  [`sha256:${'A'.repeat(64)}`, 'sha256 takes 64 lower-case hexadecimal digits'],
  ['sha256:abc', 'sha256 takes 64 lower-case hexadecimal digits'],
  [`blake3:${'a'.repeat(64)}`, 'only sha256 and sha512 can be verified, not blake3'],
])('the digest %s is refused', async (digest, message) => {
  const descriptor = { mediaType: 'text/plain', digest, size: 1 } as Descriptor;
  await expect(read(descriptor)).rejects.toThrow(message);
});

test('content inside of the descriptor is used, and checked like any other', async () => {
  const bytes = Buffer.from('inside');
  const good = {
    mediaType: 'text/plain',
    digest: digestOf(bytes),
    size: bytes.length,
    data: bytes.toString('base64'),
  };
  expect(await read(good)).toBe('inside');
  await expect(read({ ...good, size: 5 })).rejects.toThrow(
    '"data": is 6 bytes long, but its descriptor says 5',
  );
  const other = Buffer.from('inSide').toString('base64');
  await expect(read({ ...good, data: other })).rejects.toThrow('is not what this digest names');
  await expect(read({ ...good, data: '!!!' })).rejects.toThrow('"data" is not base64');
});

test('a document of gigabytes is refused before it is read', async () => {
  const descriptor = layout.blob('text/plain', Buffer.from('x'));
  await expect(read({ ...descriptor, size: 2 ** 33 })).rejects.toThrow(
    '8589934592 bytes are too many (at most 8 MiB)',
  );
});

test('a link to another place of the layout is followed, one that leads out is not', async () => {
  const descriptor = layout.blob('text/plain', Buffer.from('shared'));
  const file = layout.file(descriptor.digest);
  mkdirSync(join(layout.path, 'shared'));
  renameSync(file, join(layout.path, 'shared/blob'));
  symlinkSync('../../shared/blob', file);
  expect(await read(descriptor)).toBe('shared');
  writeFileSync(join(home, 'outside'), 'shared');
  for (const target of ['../../../outside', join(home, 'outside')]) {
    unlinkSync(file);
    symlinkSync(target, file);
    await expect(read(descriptor)).rejects.toThrow('leads out of the layout');
  }
});

test('a FIFO in the place of a blob makes nobody wait', async () => {
  const descriptor = layout.blob('text/plain', Buffer.from('hello'));
  unlinkSync(layout.file(descriptor.digest));
  spawnSync('mkfifo', [layout.file(descriptor.digest)]);
  await expect(read(descriptor)).rejects.toThrow('is a special file, not a file');
});

test('what is kept of an interrupted reading is verified with the rest', async () => {
  const descriptor = layout.blob('text/plain', Buffer.from('hello world'));
  const rest = async (start: string) => {
    const bytes = Buffer.from(start);
    const kept = {
      size: bytes.length,
      read: async function* () {
        yield bytes;
      },
      release() {},
    };
    const chunks: Uint8Array[] = [];
    for await (const chunk of readBlob(storage, descriptor, 'blob', kept)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  expect(await rest('hello ')).toBe('world');
  expect(await rest('hello world')).toBe('');
  await expect(rest('hellO ')).rejects.toThrow('is not what this digest names');
  await expect(rest('hello world!')).rejects.toThrow('is not what this digest names');
});
