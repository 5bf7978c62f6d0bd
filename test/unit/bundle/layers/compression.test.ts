import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { applyLayers } from '../../../../bundle/layers/apply.ts';
import { applyUnderBun } from '../../../helpers/layers.ts';
import { archive, file } from '../../../helpers/tar.ts';
import { diffId, layer, Place, TAR } from './fixture.ts';

// Large enough for several blocks of any format, and not so regular that it vanishes.
const large = Buffer.from(Array.from({ length: 20_000 }, (_, i) => `${i * i} `).join(''));
const tar = archive(file('large', large), file('small', 'x'));

const zstd = (bytes: Uint8Array, ...options: string[]) =>
  execFileSync('zstd', ['-q', '-c', ...options], { input: bytes, maxBuffer: 2 ** 28 });
const gzipped = gzipSync(tar);
const zstandard = zstd(tar, '--check');
const skippable = Buffer.from('502a4d18040000000a0b0c0d', 'hex');
const middle = tar.length >> 1;

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.remove());

async function unpack(blob: Uint8Array, mediaType: string, step?: number): Promise<string[]> {
  const warnings: string[] = [];
  const fields = { mediaType, diffId: diffId(tar), ...(step === undefined ? {} : { step }) };
  await applyLayers(place.rootfs, [layer(blob, fields)], {
    onWarning: (line) => warnings.push(line),
  });
  expect(readFileSync(place.at('large')).equals(large)).toBe(true);
  return warnings;
}

describe.each([
  ['none', '', tar],
  ['gzip', '+gzip', gzipped],
  [
    'gzip of several members',
    '+gzip',
    Buffer.concat([
      gzipSync(tar.subarray(0, middle)),
      gzipSync(Buffer.alloc(0)),
      gzipSync(tar.subarray(middle)),
    ]),
  ],
  ['gzip padded with zeros', '+gzip', Buffer.concat([gzipped, Buffer.alloc(70_000)])],
  ['zstd', '+zstd', zstandard],
  ['zstd with a large window', '+zstd', zstd(tar, '-19', '--long=27')],
  [
    'zstd of several frames, some to skip',
    '+zstd',
    Buffer.concat([
      skippable,
      zstd(tar.subarray(0, middle)),
      skippable,
      zstd(tar.subarray(middle)),
      skippable,
    ]),
  ],
])('%s', (_name, suffix, blob) => {
  test.each([65536, 1000, 7])('cut into pieces of %d bytes', async (step) => {
    expect(await unpack(blob, TAR + suffix, step)).toEqual([]);
  });
});

test.each([
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
])('%s is a layer too', async (mediaType) => {
  expect(await unpack(gzipped, mediaType)).toEqual([]);
});

test.each([
  ['+gzip', tar, 'is wrong: it is a tar archive without compression, and is unpacked as that'],
  ['+gzip', zstandard, 'is wrong: it is compressed with zstd, and is unpacked as that'],
  ['', gzipped, 'is wrong: it is compressed with gzip, and is unpacked as that'],
  ['+zstd', gzipped, 'is wrong: it is compressed with gzip, and is unpacked as that'],
] as const)(
  'a wrong media type (tar%s) is told, and does no harm',
  async (suffix, blob, message) => {
    expect(await unpack(blob, TAR + suffix)).toEqual([
      `the layer: its media type ${TAR}${suffix} ${message}`,
    ]);
  },
);

test.each([
  ['application/vnd.oci.image.layer.v1.tar+gzip+encrypted', gzipped],
  ['application/json', tar],
])('%s is no layer', async (mediaType, blob) => {
  await expect(unpack(blob, mediaType)).rejects.toThrow(
    `the layer: its media type "${mediaType}" is no layer's: tar, tar+gzip and tar+zstd are`,
  );
});

test.each([65536, 100])('what is damaged is refused, in pieces of %d bytes', async (step) => {
  const flipped = Buffer.from(gzipped);
  flipped[flipped.length - 6] = (flipped[flipped.length - 6] as number) ^ 1;
  const cases: [string, Uint8Array, RegExp][] = [
    ['+gzip', gzipped.subarray(0, -9), /^the layer: .*its gzip data is truncated$/],
    ['+gzip', gzipped.subarray(0, 5000), /^the layer: its gzip data is truncated$/],
    ['+gzip', flipped, /^the layer: its gzip data is damaged: incorrect data check$/],
    [
      '+gzip',
      Buffer.concat([gzipped, Buffer.from('garbage')]),
      /^the layer: its gzip data is (damaged|followed)/,
    ],
    [
      '+gzip',
      Buffer.concat([gzipped, Buffer.alloc(600), Buffer.from('garbage')]),
      /^the layer: its gzip data is followed by something else$/,
    ],
    [
      '+gzip',
      Buffer.from('<html>not found</html>'),
      /says that it is compressed with gzip, but it is neither that nor a tar archive$/,
    ],
    ['+zstd', zstandard.subarray(0, 5000), /^the layer: (its zstd data|the archive) is truncated/],
    [
      '+zstd',
      Buffer.concat([zstandard, Buffer.from('garbage, more than a header')]),
      /^the layer: its zstd data is (damaged|followed)/,
    ],
    [
      '',
      Buffer.concat([Buffer.from('garbage'), tar]),
      /^the layer: at byte 0 of the archive: this is not a tar header: its checksum is wrong$/,
    ],
  ];
  for (const [suffix, blob, message] of cases) {
    await expect(unpack(blob, TAR + suffix, step)).rejects.toThrow(message);
    place.remove();
    place = new Place();
  }
});

test("what the blob's own check finds is told before what its content does wrong", async () => {
  async function* blob() {
    yield gzipped.subarray(0, 2000);
    yield Buffer.alloc(2000);
    throw new Error('layer 7 (sha256:…): the content is not what this digest names');
  }
  await expect(
    applyLayers(place.rootfs, [layer(gzipped, { open: blob, mediaType: `${TAR}+gzip` })]),
  ).rejects.toThrow(/^layer 7 \(sha256:…\): the content is not what this digest names$/);
});

test('an error of the source comes through as it is, and the source is closed', async () => {
  let closed = 0;
  async function* source() {
    try {
      yield gzipped.subarray(0, 1000);
      throw new Error('cannot be read');
    } finally {
      closed++;
    }
  }
  await expect(
    applyLayers(place.rootfs, [layer(tar, { open: source, mediaType: `${TAR}+gzip` })]),
  ).rejects.toThrow(/^cannot be read$/);
  expect(closed).toBe(1);
});

test('the diffID is checked, over all of the archive and what follows it', async () => {
  const trailing = Buffer.concat([tar, Buffer.alloc(20_000), Buffer.from('tail')]);
  const wrong = layer(trailing, { diffId: diffId(tar) });
  await expect(applyLayers(place.rootfs, [wrong])).rejects.toThrow(
    `the layer: its uncompressed content is ${diffId(trailing)}, but the image's configuration has the diffID ${diffId(tar)}`,
  );
  place.remove();
  place = new Place();
  await applyLayers(place.rootfs, [layer(trailing)]);
  expect(place.names()).toEqual(['large', 'small']);
});

test('a layer may be an empty archive, or nothing at all', async () => {
  for (const empty of [Buffer.alloc(1024), Buffer.alloc(10240), Buffer.alloc(0)]) {
    await applyLayers(place.rootfs, [
      layer(empty),
      layer(gzipSync(empty), { mediaType: `${TAR}+gzip`, diffId: diffId(empty) }),
    ]);
    expect(place.names()).toEqual([]);
  }
});

test('progress counts the bytes of blobs, of all layers together', async () => {
  const heard: number[] = [];
  const source = { mediaType: `${TAR}+gzip`, diffId: diffId(tar), step: 10_000 };
  await applyLayers(place.rootfs, [layer(gzipped, source), layer(gzipped, source)], {
    onProgress: (bytes) => heard.push(bytes),
  });
  expect(heard.at(-1)).toBe(2 * gzipped.length);
  expect(heard).toEqual([...heard].sort((a, b) => a - b));
  expect(heard.length).toBe(2 * Math.ceil(gzipped.length / 10_000));
});

test.each([
  ['gzip', '+gzip', Buffer.concat([gzipped, Buffer.alloc(70_000)]), ''],
  ['zstd', '+zstd', Buffer.concat([skippable, zstandard, skippable]), ''],
  ['zstd with a large window', '+zstd', zstd(tar, '-19', '--long=27'), ''],
  ['truncated gzip', '+gzip', gzipped.subarray(0, 5000), 'its gzip data is truncated'],
  // Its zstd does not tell that a frame has no end; what is missing is noticed all the same.
  ['truncated zstd', '+zstd', zstandard.subarray(0, 5000), 'its uncompressed content is sha256:'],
  ['zstd and something', '+zstd', Buffer.concat([zstandard, tar]), 'its zstd data is'],
])('under Bun: %s', (_name, suffix, blob, message) => {
  const path = join(place.path, 'blob');
  writeFileSync(path, blob);
  const { status, said } = applyUnderBun(place.rootfs, [
    { path, mediaType: TAR + suffix, diffId: diffId(tar), describe: 'the layer' },
  ]);
  expect(said).toContain(message);
  expect(said.split('\n')).toHaveLength(message === '' ? 1 : 2);
  expect(status).toBe(message === '' ? 0 : 1);
  if (message === '') expect(readFileSync(place.at('large')).equals(large)).toBe(true);
});

test('under Bun: gzip where the library is none', () => {
  const path = join(place.path, 'blob');
  writeFileSync(path, gzipped);
  const hide = 'mount --bind /dev/null "$(readlink -f /usr/lib/*/libisal.so.2)" && exec "$@"';
  const { status, said } = applyUnderBun(
    place.rootfs,
    [{ path, mediaType: `${TAR}+gzip`, diffId: diffId(tar), describe: 'the layer' }],
    ['unshare', '--mount', 'sh', '-c', hide, 'sh'],
  );
  expect([status, said]).toEqual([0, '']);
  expect(readFileSync(place.at('large')).equals(large)).toBe(true);
});
