import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DATA_BASE, TEXT_BASE, writeElf } from '../../../runtime/init/elf.ts';
import { Assembler, absolute, CC, R } from '../../../runtime/linux/x86-64/assembler.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scow-elf-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function save(name: string, file: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, file, { mode: 0o755 });
  return path;
}

const encoder = new TextEncoder();

function writeSystemCall(a: Assembler, address: number, length: number): void {
  a.moveConstant(R.rax, 1);
  a.moveConstant(R.rdi, 1);
  a.moveConstant(R.rsi, address);
  a.moveConstant(R.rdx, length);
  a.syscall();
}

function exitSystemCall(a: Assembler, status: number): void {
  a.moveConstant(R.rax, 60);
  a.moveConstant(R.rdi, status);
  a.syscall();
}

/** Prints its data and exits with 7. */
function greeter(text: string): Uint8Array {
  const data = encoder.encode(text);
  const a = new Assembler();
  writeSystemCall(a, DATA_BASE, data.length);
  exitSystemCall(a, 7);
  return writeElf({ text: a.finish(), data, bssSize: 0 });
}

test('a program runs, prints its data and exits with its status', () => {
  const { stdout, status } = spawnSync(save('hi', greeter('hi')));
  expect(stdout.toString()).toBe('hi');
  expect(status).toBe(7);
});

test.each([0, 1, 15, 16, 4096, 100_000, 5_000_000])(
  '%i bytes of data leave text runnable',
  (length) => {
    const path = save('sized', greeter('x'.repeat(length)));
    const { stdout, status } = spawnSync(path, { maxBuffer: length + 1 });
    expect(stdout.equals(Buffer.alloc(length, 'x'))).toBe(true);
    expect(status).toBe(7);
  },
);

test('the bss is zeroed and writable, with and without data before it', () => {
  for (const dataLength of [0, 3]) {
    const a = new Assembler();
    const bss = DATA_BASE + dataLength;
    const last = bss + 200_000 - 8;
    const dirty = a.newLabel();
    for (const address of [bss, last]) {
      a.load(R.rax, absolute(address));
      a.compare(R.rax, 0);
      a.jumpIf(CC.notEqual, dirty);
    }
    a.storeConstant32(absolute(last), 5);
    a.load32(R.rdi, absolute(last));
    a.moveConstant(R.rax, 60);
    a.syscall();
    a.bind(dirty);
    exitSystemCall(a, 1);
    const data = new Uint8Array(dataLength).fill(0xff);
    const path = save('bss', writeElf({ text: a.finish(), data, bssSize: 200_000 }));
    expect(spawnSync(path).status).toBe(5);
  }
});

test('the program starts at its entry', () => {
  const a = new Assembler();
  exitSystemCall(a, 1);
  const entry = a.size;
  exitSystemCall(a, 9);
  const path = save(
    'entry',
    writeElf({ text: a.finish(), data: new Uint8Array(), bssSize: 0, entry }),
  );
  expect(spawnSync(path).status).toBe(9);
});

interface Segment {
  readonly type: string;
  readonly offset: number;
  readonly address: number;
  readonly flags: string;
  readonly alignment: number;
}

function segments(path: string): Segment[] {
  const output = execFileSync('readelf', ['-lW', path], { encoding: 'utf8' });
  const row = /^ {2}(\w+) +(0x\w+) (0x\w+) 0x\w+ 0x\w+ 0x\w+ (.{3}) (0x\w+)$/gm;
  return [...output.matchAll(row)].map(([, type, offset, address, flags, alignment]) => ({
    type: type as string,
    offset: Number(offset),
    address: Number(address),
    flags: flags as string,
    alignment: Number(alignment),
  }));
}

test('readelf sees two segments that 64 KiB pages can hold, and a stack that is not executable', () => {
  const path = save('segments', greeter('hello'));
  const found = segments(path);
  expect(found.map(({ type, flags }) => `${type} ${flags}`)).toEqual([
    'LOAD R E',
    'LOAD RW ',
    'GNU_STACK RW ',
  ]);
  for (const segment of found.filter(({ type }) => type === 'LOAD')) {
    expect(segment.alignment).toBe(0x10000);
    expect(segment.offset % 0x10000).toBe(segment.address % 0x10000);
  }
  expect(Math.floor((found[0]?.address ?? 0) / 0x10000)).toBe(TEXT_BASE / 0x10000);
  const header = execFileSync('readelf', ['-hW', path], { encoding: 'utf8' });
  expect(header).toMatch(/Type: +EXEC/);
  expect(header).toMatch(/Number of section headers: +0/);
});

test('what does not fit is refused', () => {
  const text = Uint8Array.of(0xc3);
  const none = new Uint8Array();
  expect(() => writeElf({ text: new Uint8Array(0x200000), data: none, bssSize: 0 })).toThrow(
    /2097152 bytes of text/,
  );
  expect(() => writeElf({ text, data: none, bssSize: 0x80000000 })).toThrow(/2147483648 of bss/);
  expect(() => writeElf({ text, data: none, bssSize: 0, entry: 1 })).toThrow(/the entry 0x1/);
});
