import { readdirSync } from 'node:fs';
import { crc32, createGunzip, gzipSync } from 'node:zlib';
import { throughEngine } from '../../../../bundle/layers/inflate/engine.ts';
import { throughIsal } from '../../../../bundle/layers/inflate/isal.ts';
import { loadIsal } from '../../../../bundle/layers/inflate/isal-inflater.ts';

/** In parts of little order, repetitive, and all zeros: more than one piece of output. */
const content = Buffer.concat([
  Buffer.from(Array.from({ length: 60_000 }, (_, i) => `${(i * i) % 9973} `).join('')),
  Buffer.alloc(1_500_000),
  Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * i * 7919) % 251)),
]);
const whole = gzipSync(content);
const middle = content.length >> 1;
const members = Buffer.concat([
  gzipSync(content.subarray(0, middle), { level: 1 }),
  gzipSync(Buffer.alloc(0)),
  gzipSync(content.subarray(middle), { level: 0 }),
]);

/** A header with all that one can have: extra field, name, comment, checksum (RFC 1952, 2.3). */
function withFullHeader(member: Buffer, damage = 0): Buffer {
  const fixed = Buffer.from('1f8b081e0000000000ff', 'hex');
  const extra = Buffer.from('0300aabbcc', 'hex');
  const header = Buffer.concat([fixed, extra, Buffer.from('name\0a comment\0')]);
  const checksum = Buffer.alloc(2);
  checksum.writeUInt16LE((crc32(header) & 0xffff) ^ damage);
  return Buffer.concat([header, checksum, member.subarray(10)]);
}

async function* pieces(bytes: Uint8Array, step: number): AsyncGenerator<Uint8Array, undefined> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
  return undefined;
}

const unpackers = {
  isal(source: AsyncIterator<Uint8Array>) {
    const library = loadIsal();
    if (library === undefined) throw new Error('libisal2 is not installed');
    return throughIsal(source, library);
  },
  engine: (source: AsyncIterator<Uint8Array>) => throughEngine(source, createGunzip, 'gzip'),
};

/** What comes out, or the error. */
async function unpack(
  by: keyof typeof unpackers,
  bytes: Uint8Array,
  step = 100_000,
): Promise<Buffer | string> {
  const found: Uint8Array[] = [];
  try {
    for await (const chunk of unpackers[by](pieces(bytes, step))) found.push(Buffer.from(chunk));
  } catch (error) {
    return (error as Error).message;
  }
  return Buffer.concat(found);
}

const threads = () => readdirSync('/proc/self/task');
const is = (found: Buffer | string) => (typeof found === 'string' ? found : found.equals(content));

describe.each(['isal', 'engine'] as const)('%s', (by) => {
  test.each([
    ['one member', whole],
    ['several members', members],
    ['a member without compression', gzipSync(content, { level: 0 })],
    ['zeros behind it', Buffer.concat([whole, Buffer.alloc(200_000)])],
    ['a header with everything', withFullHeader(whole)],
  ])('%s', async (_name, bytes) => {
    for (const step of [1 << 20, 997]) expect(is(await unpack(by, bytes, step))).toBe(true);
  });

  test('a header is read in whatever pieces it comes', async () => {
    const small = withFullHeader(gzipSync('content'));
    for (let step = 1; step < small.length; step++)
      expect(String(await unpack(by, small, step))).toBe('content');
  });

  test('what is truncated is refused, wherever it ends', async () => {
    const small = Buffer.concat([withFullHeader(gzipSync('content')), gzipSync('more')]);
    const first = small.length - gzipSync('more').length;
    for (let end = 2; end < small.length; end++)
      if (end !== first)
        expect(await unpack(by, small.subarray(0, end), 5)).toBe('its gzip data is truncated');
    for (const end of [1000, whole.length >> 1, whole.length - 9, whole.length - 1])
      expect(await unpack(by, whole.subarray(0, end))).toBe('its gzip data is truncated');
  });

  const changed = (at: number, value: number) => {
    const bytes = Buffer.from(whole);
    bytes[(at + bytes.length) % bytes.length] = value;
    return bytes;
  };
  test.each([
    ['no gzip', changed(1, 0x8c), 'damaged: incorrect header check'],
    ['another method', changed(2, 7), 'damaged: unknown compression method'],
    ['unknown flags', changed(3, 0x20), 'damaged: unknown header flags set'],
    ['a wrong header checksum', withFullHeader(whole, 1), 'damaged: header crc mismatch'],
    [
      'a wrong checksum',
      changed(-6, (whole.at(-6) as number) ^ 1),
      'damaged: incorrect data check',
    ],
    ['a block of no type', changed(10, 0xff), 'damaged: invalid block'],
    [
      'garbage behind it',
      Buffer.concat([whole, Buffer.from('xyz')]),
      'damaged: incorrect header check',
    ],
    [
      'garbage behind zeros',
      Buffer.concat([whole, Buffer.alloc(300_000), Buffer.from('x')]),
      'followed by something else',
    ],
  ])('%s is refused', async (_name, bytes, message) => {
    for (const step of [1 << 20, 1000])
      expect(await unpack(by, bytes, step)).toContain(`its gzip data is ${message}`);
  });

  test('an error of the source comes through, and the thread ends', async () => {
    async function* source(): AsyncGenerator<Uint8Array, undefined> {
      yield whole.subarray(0, 5000);
      throw new Error('cannot be read');
    }
    const all = async () => {
      for await (const _chunk of unpackers[by](source()));
    };
    const before = threads();
    await expect(all()).rejects.toThrow(/^cannot be read$/);
    expect(threads()).toEqual(before);
  });
});

test('both take and refuse the same, whatever bit is wrong', async () => {
  const small = gzipSync(content.subarray(0, 3000));
  for (let bit = 0; bit < 8 * small.length; bit += 37) {
    const bytes = Buffer.from(small);
    bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
    const [first, second] = [await unpack('isal', bytes), await unpack('engine', bytes)];
    if (typeof second === 'string') expect(first).toMatch(/^its gzip data is (damaged|truncated)/);
    else expect(second.equals(first as Buffer)).toBe(true);
  }
});
