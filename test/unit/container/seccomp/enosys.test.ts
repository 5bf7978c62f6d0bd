import { enosysStub, type Newest } from '../../../../runtime/container/seccomp/enosys.ts';

const X86_64 = 0xc000003e;
const X32 = 0x4000003e;
const I386 = 0x40000003;
const AARCH64 = 0xc00000b7;
const S390X = 0x80000016;
const X32_BIT = 0x40000000;
const ENOSYS = 0x00050026;

/** Runs a program as the kernel does (`kernel/bpf`, classic). @returns its value, or that it goes on */
function run(program: Uint8Array, arch: number, nr: number): number | 'goes on' {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  let accumulator = 0;
  let at = 0;
  while (at < program.byteLength / 8) {
    const code = view.getUint16(8 * at, true);
    const k = view.getUint32(8 * at + 4, true);
    const jump = (holds: boolean) => view.getUint8(8 * at + (holds ? 2 : 3));
    if (code === 0x06) return k;
    if (code === 0x20) accumulator = k === 4 ? arch : nr;
    else if (code === 0x05) at += k;
    else if (code === 0x15) at += jump(accumulator === k);
    else if (code === 0x25) at += jump(accumulator > k);
    else if (code === 0x45) at += jump((accumulator & k) !== 0);
    else throw new Error(`instruction ${code}`);
    at += 1;
  }
  // It must end exactly where the filter begins.
  expect(at).toBe(program.byteLength / 8);
  return 'goes on';
}

const newest = (...list: readonly (readonly [number, number])[]): Newest[] =>
  list.map(([architecture, number]) => ({ architecture, number }));

test('nothing named, nothing to go before the filter', () => {
  expect(enosysStub([])).toHaveLength(0);
});

test.each<[string, Newest[], number[]]>([
  ['one architecture', newest([X86_64, 300]), [X86_64]],
  ['two', newest([X86_64, 300], [I386, 400]), [X86_64, I386]],
  ['in another order', newest([I386, 400], [AARCH64, 280], [X86_64, 300]), [I386, AARCH64, X86_64]],
])('%s: what is newer than the newest, and only that', (_, list, known) => {
  const program = enosysStub(list);
  for (const { architecture, number } of list) {
    expect(run(program, architecture, 0)).toBe('goes on');
    expect(run(program, architecture, number)).toBe('goes on');
    expect(run(program, architecture, number + 1)).toBe(ENOSYS);
    expect(run(program, architecture, 0x3fffffff)).toBe(ENOSYS);
  }
  for (const other of [X86_64, I386, AARCH64, S390X].filter((each) => !known.includes(each)))
    expect(run(program, other, 9999)).toBe('goes on');
});

test('x32 is x86-64 with a bit in the number, and has a newest of its own', () => {
  const both = enosysStub(newest([X86_64, 300], [X32, X32_BIT | 310], [I386, 400]));
  expect(run(both, X86_64, 300)).toBe('goes on');
  expect(run(both, X86_64, 305)).toBe(ENOSYS);
  expect(run(both, X86_64, X32_BIT | 310)).toBe('goes on');
  expect(run(both, X86_64, X32_BIT | 311)).toBe(ENOSYS);
  expect(run(both, I386, 401)).toBe(ENOSYS);
  expect(run(both, I386, 400)).toBe('goes on');
  // Where the profile does not name x32, the filter says what becomes of its calls.
  const alone = enosysStub(newest([X86_64, 300], [I386, 400]));
  expect(run(alone, X86_64, X32_BIT | 311)).toBe('goes on');
  const only = enosysStub(newest([X32, X32_BIT | 310]));
  expect(run(only, X86_64, 9999)).toBe('goes on');
  expect(run(only, X86_64, X32_BIT | 311)).toBe(ENOSYS);
});

test('number 0 of s390x stands for a call that the kernel does not know', () => {
  const program = enosysStub(newest([S390X, 300]));
  expect(run(program, S390X, 0)).toBe(ENOSYS);
  expect(run(program, S390X, 1)).toBe('goes on');
  expect(run(program, S390X, 301)).toBe(ENOSYS);
});
