import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  connectUnix,
  pipe,
  receiveMessage,
  sendMessage,
  socketPair,
} from '../../../runtime/linux/socket.ts';

const O_CLOEXEC = 0o2000000;
const openDescriptors = () => readdirSync('/proc/self/fd').length;

let pair: [number, number];
let opened: number[];
const closing = (...fds: number[]) => opened.push(...fds);

beforeEach(() => {
  opened = [];
  pair = socketPair();
  closing(...pair);
});
afterEach(() => {
  for (const fd of opened) closeSync(fd);
});

test('messages keep their bounds', () => {
  sendMessage(pair[0], Buffer.from('one'));
  sendMessage(pair[0], Buffer.from('two'));
  expect(Buffer.from(receiveMessage(pair[1], 100)?.bytes ?? []).toString()).toBe('one');
  expect(Buffer.from(receiveMessage(pair[1], 100)?.bytes ?? []).toString()).toBe('two');
});

test('a descriptor passes: a pipe is read through the received one', () => {
  const [reader, writer] = pipe();
  closing(reader, writer);
  sendMessage(pair[0], Buffer.from('pipe'), [reader]);
  const received = receiveMessage(pair[1], 100, 1);
  const [passed] = received?.descriptors ?? [];
  if (passed === undefined) throw new Error('no descriptor arrived');
  closing(passed);
  expect(passed).not.toBe(reader);
  writeSync(writer, 'through');
  const text = Buffer.alloc(7);
  expect(readSync(passed, text)).toBe(7);
  expect(text.toString()).toBe('through');
  const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${passed}`, 'utf8'));
  expect(Number.parseInt(flags?.[1] ?? '0', 8) & O_CLOEXEC).toBe(O_CLOEXEC);
});

test.each([1, 2, 3, 253])('%d descriptors pass in their order', (count) => {
  const [reader, writer] = pipe();
  closing(reader, writer);
  const sent = Array.from({ length: count }, (_, i) => (i % 2 === 0 ? reader : writer));
  sendMessage(pair[0], Buffer.from('x'), sent);
  const received = receiveMessage(pair[1], 1, count)?.descriptors ?? [];
  closing(...received);
  expect(received).toHaveLength(count);
  expect(received.map((fd) => fstatSync(fd).ino)).toEqual(sent.map((fd) => fstatSync(fd).ino));
  expect(new Set(received).size).toBe(count);
});

test.each([0, 1, 2, 5])(
  'with room for %d descriptors one more is refused, and none stay open',
  (room) => {
    const [reader, writer] = pipe();
    closing(reader, writer);
    sendMessage(pair[0], Buffer.from('x'), Array(room + 1).fill(reader));
    const before = openDescriptors();
    expect(() => receiveMessage(pair[1], 1, room)).toThrow(
      `received a message with more than ${room} descriptors`,
    );
    expect(openDescriptors()).toBe(before);
  },
);

test('a message that is too long is refused, not cut', () => {
  sendMessage(pair[0], Buffer.from('12345'));
  expect(() => receiveMessage(pair[1], 4)).toThrow('received a message longer than 4 bytes');
});

test('the end of the other side is told from a message', () => {
  sendMessage(pair[0], Buffer.from('last'));
  closeSync(pair[0]);
  opened.shift();
  expect(receiveMessage(pair[1], 100)).toBeDefined();
  expect(receiveMessage(pair[1], 100)).toBeUndefined();
  expect(() => sendMessage(pair[1], Buffer.from('x'))).toThrow(/EPIPE/);
});

test('a side that closed with a message unread is an end too, not an error', () => {
  sendMessage(pair[1], Buffer.from('unread'));
  closeSync(pair[0]);
  opened.shift();
  expect(receiveMessage(pair[1], 100)).toBeUndefined();
});

test('an empty message is refused', () => {
  expect(() => sendMessage(pair[0], new Uint8Array(0))).toThrow('empty message');
});

describe('a socket in the file system', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scow-socket-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function listening(path: string, run: () => void): Promise<string> {
    const server = createServer({ allowHalfOpen: false });
    const data = new Promise<string>((resolve) =>
      server.on('connection', (socket) => socket.on('data', (bytes) => resolve(`${bytes}`))),
    );
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      run();
      return await data;
    } finally {
      server.close();
    }
  }

  test('is connected to', async () => {
    const path = join(folder, 'socket');
    const text = await listening(path, () => {
      const fd = connectUnix(path);
      closing(fd);
      sendMessage(fd, Buffer.from('hello'));
    });
    expect(text).toBe('hello');
  });

  test('may have a path longer than an address holds', async () => {
    const deep = join(folder, 'd'.repeat(120));
    mkdirSync(deep);
    const parent = openSync(deep, 'r');
    closing(parent);
    // Node too binds 107 bytes at most.
    const text = await listening(`/proc/self/fd/${parent}/${'s'.repeat(60)}`, () => {
      const fd = connectUnix(join(deep, 's'.repeat(60)));
      closing(fd);
      sendMessage(fd, Buffer.from('far'));
    });
    expect(text).toBe('far');
  });

  test('is missing, or a plain file', () => {
    expect(() => connectUnix(join(folder, 'none'))).toThrow(/ENOENT/);
    writeFileSync(join(folder, 'file'), '');
    const before = openDescriptors();
    expect(() => connectUnix(join(folder, 'file'))).toThrow(/ECONNREFUSED/);
    expect(openDescriptors()).toBe(before);
  });
});

test('descriptors pass under Bun as well', () => {
  const script = `
    import { installPort } from './runtime/linux/port.ts';
    import { openBunPort } from './runtime/linux/ffi-bun.ts';
    import { receiveMessage, sendMessage, socketPair } from './runtime/linux/socket.ts';
    import { readFileSync } from 'node:fs';
    installPort(openBunPort);
    const [a, b] = socketPair();
    sendMessage(a, Buffer.from('file'), [0, 1, 2]);
    const { bytes, descriptors } = receiveMessage(b, 4, 3);
    console.log(Buffer.from(bytes) + ' ' + descriptors.length + ' ' + readFileSync(descriptors[0], 'utf8'));
  `;
  const bun = spawnSync('node_modules/.bin/bun', ['-e', script], {
    input: 'from stdin',
    encoding: 'utf8',
  });
  expect(bun.stderr).toBe('');
  expect(bun.stdout).toBe('file 3 from stdin\n');
});
