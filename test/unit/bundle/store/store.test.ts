import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { readBlob } from '../../../../bundle/image/read-blob.ts';
import { resolveImage } from '../../../../bundle/image/resolve.ts';
import type { Content } from '../../../../bundle/image/source.ts';
import { openStore } from '../../../../bundle/store/store.ts';
import { digestOf, LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-test.ts';
import { store } from '../../../helpers/places/store-per-test.ts';
import { program } from '../../../helpers/program.ts';
import { imageBlobs, once, putImage } from '../../../helpers/stored.ts';

const names = () => store.references().map(({ name }) => name);

const run = (command: string, ...args: string[]) => program(command, args);

test('what was written is found by name, short name, digest and ID', async () => {
  const image = await putImage(store, 'docker.io/library/alpine:latest', { layers: [] });
  const other = await putImage(store, 'mine', { config: { author: 'somebody' } });
  expect(names()).toEqual(['docker.io/library/alpine:latest', 'localhost/mine:latest']);
  const digits = (digest: string) => digest.slice('sha256:'.length);
  for (const text of [
    'docker.io/library/alpine:latest',
    'alpine',
    'library/alpine:latest',
    'docker.io/alpine',
    image.manifest.digest,
    digits(image.manifest.digest).slice(0, 12),
    digits(image.config.digest).slice(0, 12),
    image.config.digest,
    `alpine@${image.manifest.digest}`,
    `docker.io/library/alpine:other@${image.manifest.digest}`,
  ])
    expect((await store.find(text)).descriptor.digest).toBe(image.manifest.digest);
  for (const text of ['mine', 'localhost/mine', `mine@${other.manifest.digest}`])
    expect((await store.find(text)).descriptor.digest).toBe(other.manifest.digest);
  const source = await store.source('mine');
  expect((await resolveImage(source)).config.author).toBe('somebody');
  source.close();
  expect(readdirSync(join(store.path, 'leases'))).toEqual([]);
  expect(readdirSync(join(store.path, 'tmp'))).toEqual([]);
});

test('what is not there, or may be several, is told with what is there', async () => {
  await expect(store.find('alpine')).rejects.toThrow(
    `no image "alpine" in ${store.path}: it is empty`,
  );
  await putImage(store, 'docker.io/library/alpine:3.20', { config: { author: 'a' } });
  await putImage(store, 'docker.io/library/debian:latest', { config: { author: 'b' } });
  await expect(store.find('alpine')).rejects.toThrow(
    `no image "alpine" in ${store.path}; it has docker.io/library/alpine:3.20`,
  );
  await expect(store.find('fedora')).rejects.toThrow(
    'it has docker.io/library/alpine:3.20, docker.io/library/debian:latest',
  );
  await putImage(store, 'debian', { config: { author: 'c' } });
  await expect(store.find('debian')).rejects.toThrow(
    `"debian" is ambiguous in ${store.path}: it may be docker.io/library/debian:latest, localhost/debian:latest; name one of them`,
  );
  await expect(store.find('sha256:')).rejects.toThrow('no image "sha256:"');
  await expect(store.find('../x y')).rejects.toThrow('no image "../x y"');
});

test('a name that goes to another image leaves the first without one', async () => {
  const first = await putImage(store, 'app', { config: { author: 'first' } });
  const second = await putImage(store, 'app', { config: { author: 'second' } });
  const entries = () => store.references().map(({ name, descriptor }) => [name, descriptor.digest]);
  expect(entries()).toEqual([
    [undefined, first.manifest.digest],
    ['localhost/app:latest', second.manifest.digest],
  ]);
  expect(await store.tag(first.manifest.digest, 'app:old')).toBe('localhost/app:old');
  expect(await store.tag('app:old', 'ghcr.io/me/app:1')).toBe('ghcr.io/me/app:1');
  expect(entries()).toEqual([
    ['localhost/app:latest', second.manifest.digest],
    ['localhost/app:old', first.manifest.digest],
    ['ghcr.io/me/app:1', first.manifest.digest],
  ]);
  await expect(store.tag('app', `x@${first.manifest.digest}`)).rejects.toThrow('has a digest');
  await expect(store.tag('app', 'Not A Name')).rejects.toThrow('is not an image name');
});

test('skopeo and umoci read it, and it takes over what they made', async () => {
  const { manifest } = await putImage(store, 'docker.io/library/x:1');
  const inspected = JSON.parse(
    run('skopeo', 'inspect', `oci:${store.path}:docker.io/library/x:1`),
  ) as { Digest: string };
  expect(inspected.Digest).toBe(manifest.digest);
  expect(run('umoci', 'ls', '--layout', store.path)).toBe('docker.io/library/x:1\n');
  const theirs = join(home, 'theirs');
  run('umoci', 'init', '--layout', theirs);
  run('umoci', 'new', '--image', `${theirs}:empty`);
  const taken = openStore(theirs);
  const source = await taken.source('empty');
  expect((await resolveImage(source)).config.os).toBe('linux');
  source.close();
  await taken.tag('empty', 'mine');
  expect(run('umoci', 'ls', '--layout', theirs)).toBe('empty\nlocalhost/mine:latest\n');
});

test('content that is not what its descriptor says leaves nothing', async () => {
  const { manifest } = imageBlobs();
  const destination = await store.destination('x');
  async function* wrong(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(manifest.size);
    throw new Error('the digest is another');
  }
  await expect(destination.write(manifest, wrong())).rejects.toThrow('the digest is another');
  expect(await destination.has(manifest)).toBe(false);
  await destination.close();
  expect(store.references()).toEqual([]);
  expect(readdirSync(join(store.path, 'blobs/sha256'))).toEqual([]);
  expect(readdirSync(join(store.path, 'tmp'))).toEqual([]);
});

test('what broke off is continued, by one writer at a time, and not for ever', async () => {
  const bytes = Buffer.from('some content, in two parts');
  const blob = { mediaType: 'text/plain', digest: digestOf(bytes), size: bytes.length };
  const file = join(store.path, 'tmp', blob.digest.replace(':', '-'));
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 12);
    throw new Error('connection lost');
  }
  const first = await store.destination('x');
  await expect(first.write(blob, broken())).rejects.toThrow('connection lost');
  await first.close();
  expect(readFileSync(file)).toEqual(bytes.subarray(0, 12));

  const second = await store.destination('x');
  const kept = await second.partial?.(blob);
  expect(kept?.size).toBe(12);
  const other = await openStore(store.path).destination('y');
  expect(await other.partial?.(blob)).toBe(undefined);
  const source = { name: 'it', open: async () => memory(bytes), close() {} };
  await second.write(blob, readBlob(source, blob, 'blob', kept), 12);
  await other.close();
  await second.close();
  const stored = join(store.path, 'blobs', blob.digest.replace(':', '/'));
  expect(readFileSync(stored)).toEqual(bytes);
  expect(readdirSync(join(store.path, 'tmp'))).toEqual([]);

  const third = await store.destination('x');
  await expect(third.write(blob, broken())).rejects.toThrow('connection lost');
  await third.close();
  await (await store.destination('x')).close();
  expect(existsSync(file)).toBe(true);
  utimesSync(file, 0, 0);
  await (await store.destination('x')).close();
  expect(existsSync(file)).toBe(false);
});

/** Bytes as the content of a source. */
function memory(bytes: Uint8Array): Content {
  return {
    size: bytes.length,
    read: (from) => once(bytes.subarray(from)),
    release() {},
  };
}

test('blobs that were damaged on the disk are written again', async () => {
  const { manifest, blobs } = imageBlobs();
  await putImage(store, 'x');
  const file = join(store.path, 'blobs', manifest.digest.replace(':', '/'));
  writeFileSync(file, 'short');
  const destination = await store.destination('x');
  expect(await destination.has(manifest)).toBe(false);
  await destination.write(manifest, once(blobs.at(-1)?.[1] as Buffer));
  await destination.close();
  expect(readFileSync(file)).toEqual(blobs.at(-1)?.[1]);
});

test('several writers at once lose nothing', async () => {
  const writers = Array.from({ length: 8 }, (_, i) =>
    putImage(openStore(store.path), `image${i}`, { config: { author: String(i) } }),
  );
  await Promise.all(writers);
  expect(names().sort()).toEqual(writers.map((_, i) => `localhost/image${i}:latest`));
});

test('it is made for its owner alone, and not among the files of others', async () => {
  const somebodys = join(home, 'files');
  mkdirSync(somebodys);
  writeFileSync(join(somebodys, 'letter.txt'), '');
  await expect(openStore(somebodys).destination('x')).rejects.toThrow(
    `cannot make the image store ${somebodys}: the directory has other files, such as "letter.txt"`,
  );
  expect(readdirSync(somebodys)).toEqual(['letter.txt']);
  expect(openStore(join(home, 'nothing')).references()).toEqual([]);
  expect(existsSync(join(home, 'nothing'))).toBe(false);
  await putImage(store, 'x');
  expect(statSync(store.path).mode & 0o777).toBe(0o700);
});

test('a layout with two images of one name is refused in one line', async () => {
  const layout = new LayoutBuilder(join(home, 'layout'));
  layout.finish(
    tagged(layout.image({ config: { author: 'a' } }), 'x'),
    tagged(layout.image({ config: { author: 'b' } }), 'x'),
  );
  await expect(openStore(layout.path).find('x')).rejects.toThrow('"x" is ambiguous');
});
