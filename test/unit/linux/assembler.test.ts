import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Assembler,
  absolute,
  at,
  CC,
  R,
  type Register,
} from '../../../runtime/linux/x86-64/assembler.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scow-assembler-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What objdump makes of the code, an instruction a line, with single spaces. */
function disassemble(emit: (a: Assembler) => void): string[] {
  const a = new Assembler();
  emit(a);
  const path = join(folder, 'code');
  writeFileSync(path, a.finish());
  const arguments_ = ['-D', '-b', 'binary', '-m', 'i386:x86-64', '-M', 'intel', path];
  const output = execFileSync('objdump', [...arguments_, '--no-show-raw-insn'], {
    encoding: 'utf8',
  });
  return [...output.matchAll(/^ +[0-9a-f]+:\t(.+)$/gm)].map((line) =>
    (line[1] as string).replace(/\s+/g, ' ').trim(),
  );
}

/** The same for one instruction an item. */
function disassembleEach<T>(items: readonly T[], emit: (a: Assembler, item: T) => void): string[] {
  return disassemble((a) => {
    for (const item of items) emit(a, item);
  });
}

const NAMES = Object.keys(R) as (keyof typeof R)[];
const REGISTERS = Object.values(R);

/** The name of a register's low 32 bits. */
function name32(register: Register): string {
  const name = NAMES[register] as string;
  return register < 8 ? `e${name.slice(1)}` : `${name}d`;
}

function name16(register: Register): string {
  const name = NAMES[register] as string;
  return register < 8 ? name.slice(1) : `${name}w`;
}

function name8(register: Register): string {
  const name = NAMES[register] as string;
  if (register < 4) return `${name[1]}l`;
  return register < 8 ? `${name.slice(1)}l` : `${name}b`;
}

const name64 = (register: Register): string => NAMES[register] as string;

describe('registers', () => {
  // Each pair has the same low three bits somewhere, so a lost REX bit shows.
  const pairs = REGISTERS.flatMap((to) => REGISTERS.map((from) => [to, from] as const));

  test('move and compareRegisters, all pairs', () => {
    expect(disassembleEach(pairs, (a, [to, from]) => a.move(to, from))).toEqual(
      pairs.map(([to, from]) => `mov ${name64(to)},${name64(from)}`),
    );
    expect(disassembleEach(pairs, (a, [l, r]) => a.compareRegisters(l, r))).toEqual(
      pairs.map(([left, right]) => `cmp ${name64(left)},${name64(right)}`),
    );
  });

  test.each([
    ['push', 'push'],
    ['pop', 'pop'],
    ['negate', 'neg'],
    ['divide', 'div'],
    ['callRegister', 'call'],
  ] as const)('%s', (method, mnemonic) => {
    expect(disassembleEach(REGISTERS, (a, r) => a[method](r))).toEqual(
      REGISTERS.map((r) => `${mnemonic} ${name64(r)}`),
    );
  });
});

describe('memory', () => {
  // rsp and r12 need a SIB byte; rbp and r13 can't be without a displacement.
  const places = REGISTERS.flatMap((base) => [
    { memory: at(base), text: `[${name64(base)}+0x0]` },
    { memory: at(base, 0x12345678), text: `[${name64(base)}+0x12345678]` },
    { memory: at(base, -8), text: `[${name64(base)}-0x8]` },
  ]).concat([{ memory: absolute(0x600100), text: 'ds:0x600100' }]);

  function everyPlace(
    emit: (a: Assembler, register: Register, memory: ReturnType<typeof at>) => void,
    expected: (register: Register, memory: string) => string,
  ): void {
    for (const register of REGISTERS) {
      expect(disassembleEach(places, (a, p) => emit(a, register, p.memory))).toEqual(
        places.map(({ text }) => expected(register, text)),
      );
    }
  }

  test('load', () => {
    everyPlace(
      (a, register, memory) => a.load(register, memory),
      (register, memory) => `mov ${name64(register)},QWORD PTR ${memory}`,
    );
  });

  test('load32', () => {
    everyPlace(
      (a, register, memory) => a.load32(register, memory),
      (register, memory) => `mov ${name32(register)},DWORD PTR ${memory}`,
    );
  });

  test('loadByte', () => {
    everyPlace(
      (a, register, memory) => a.loadByte(register, memory),
      (register, memory) => `movzx ${name32(register)},BYTE PTR ${memory}`,
    );
  });

  test('store', () => {
    everyPlace(
      (a, register, memory) => a.store(memory, register),
      (register, memory) => `mov QWORD PTR ${memory},${name64(register)}`,
    );
  });

  test('store32', () => {
    everyPlace(
      (a, register, memory) => a.store32(memory, register),
      (register, memory) => `mov DWORD PTR ${memory},${name32(register)}`,
    );
  });

  test('store16', () => {
    everyPlace(
      (a, register, memory) => a.store16(memory, register),
      (register, memory) => `mov WORD PTR ${memory},${name16(register)}`,
    );
  });

  test('storeByte', () => {
    everyPlace(
      (a, register, memory) => a.storeByte(memory, register),
      (register, memory) => `mov BYTE PTR ${memory},${name8(register)}`,
    );
  });

  test('storeConstant32', () => {
    expect(disassembleEach(places, (a, p) => a.storeConstant32(p.memory, -2))).toEqual(
      places.map(({ text }) => `mov DWORD PTR ${text},0xfffffffe`),
    );
  });

  test('address', () => {
    everyPlace(
      (a, register, memory) => a.address(register, memory),
      (register, memory) => `lea ${name64(register)},${memory}`,
    );
  });
});

describe('constants', () => {
  const constants: [number | bigint, (register: Register) => string][] = [
    [0, (r) => `xor ${name32(r)},${name32(r)}`],
    [1, (r) => `mov ${name32(r)},0x1`],
    [0x7fffffff, (r) => `mov ${name32(r)},0x7fffffff`],
    [0x80000000, (r) => `mov ${name32(r)},0x80000000`],
    [0xffffffff, (r) => `mov ${name32(r)},0xffffffff`],
    [0x100000000, (r) => `movabs ${name64(r)},0x100000000`],
    [0x123456789abcdef0n, (r) => `movabs ${name64(r)},0x123456789abcdef0`],
    [-1, (r) => `mov ${name64(r)},0xffffffffffffffff`],
    [0xffffffffffffffffn, (r) => `mov ${name64(r)},0xffffffffffffffff`],
    [-(2 ** 31), (r) => `mov ${name64(r)},0xffffffff80000000`],
    [-(2 ** 31) - 1, (r) => `movabs ${name64(r)},0xffffffff7fffffff`],
    [-(2n ** 63n), (r) => `movabs ${name64(r)},0x8000000000000000`],
  ];

  test.each(constants)('moveConstant %s', (value, expected) => {
    expect(disassembleEach(REGISTERS, (a, r) => a.moveConstant(r, value))).toEqual(
      REGISTERS.map(expected),
    );
  });

  test.each([
    ['add', 'add', name64, '0xfffffffffffffff0'],
    ['compare', 'cmp', name64, '0xfffffffffffffff0'],
    ['compare32', 'cmp', name32, '0xfffffff0'],
    ['and32', 'and', name32, '0xfffffff0'],
    ['test32', 'test', name32, '0xfffffff0'],
  ] as const)('%s', (method, mnemonic, nameOf, negative) => {
    expect(disassembleEach(REGISTERS, (a, r) => a[method](r, 0x1234567))).toEqual(
      REGISTERS.map((r) => `${mnemonic} ${nameOf(r)},0x1234567`),
    );
    expect(disassembleEach(REGISTERS, (a, r) => a[method](r, -16))).toEqual(
      REGISTERS.map((r) => `${mnemonic} ${nameOf(r)},${negative}`),
    );
  });
});

describe('control', () => {
  test('labels are reached forwards and backwards', () => {
    const code = disassemble((a) => {
      const start = a.newLabel();
      const end = a.newLabel();
      a.bind(start);
      a.jump(end);
      a.call(start);
      a.jump(start);
      a.bind(end);
      a.return();
    });
    expect(code).toEqual(['jmp 0xf', 'call 0x0', 'jmp 0x0', 'ret']);
  });

  test('jumpIf, every condition', () => {
    const mnemonics: Record<keyof typeof CC, string> = {
      below: 'jb',
      aboveOrEqual: 'jae',
      equal: 'je',
      notEqual: 'jne',
      belowOrEqual: 'jbe',
      above: 'ja',
    };
    const names = Object.keys(CC) as (keyof typeof CC)[];
    const code = disassemble((a) => {
      const start = a.newLabel();
      a.bind(start);
      for (const name of names) a.jumpIf(CC[name], start);
    });
    expect(code).toEqual(names.map((name) => `${mnemonics[name]} 0x0`));
  });

  test('syscall', () => {
    expect(disassemble((a) => a.syscall())).toEqual(['syscall']);
  });

  test('room is made for more, and code beyond it is an error, not lost', () => {
    const a = new Assembler(4);
    a.return();
    a.makeRoom(100);
    for (let i = 0; i < 100; i++) a.return();
    expect(a.finish()).toEqual(new Uint8Array(101).fill(0xc3));
    for (let i = 0; i < 1000; i++) a.return();
    expect(() => a.makeRoom(1)).toThrow(/^1101 bytes of code: more than \d+$/);
    expect(() => a.finish()).toThrow(/^1101 bytes of code/);
  });

  test('a label that is used must be bound, once', () => {
    const a = new Assembler();
    const label = a.newLabel();
    a.jump(label);
    expect(() => a.finish()).toThrow('1 uses of unbound labels');
    a.bind(label);
    expect(() => a.bind(label)).toThrow('label bound twice');
    expect(a.finish()).toHaveLength(a.size);
  });
});
