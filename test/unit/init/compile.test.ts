import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '../../../runtime/init/compile.ts';
import {
  call,
  flags,
  inherited,
  place,
  pointers,
  result,
  type Step,
  struct,
} from '../../../runtime/plan/step.ts';
import { disassemble, textOf } from '../../helpers/disassemble.ts';
import { ORIGIN } from '../../helpers/init-program.ts';

const DESCRIPTORS = new Map([
  ['control', 3],
  ['progress', 4],
  ['fifo', 5],
]);

function program(...steps: Step[]): Uint8Array {
  return compile(steps, DESCRIPTORS);
}

/** Where what reports a failure begins. */
const FAILED = 1;
/** Instructions before the first step: the report of a failure, and what maps the progress page. */
const START = 33;
/** Instructions after the last step: an exit. */
const END = 3;

/** The instructions of the steps. */
function body(...steps: Step[]): string[] {
  return disassemble(program(...steps)).slice(START, -END);
}

describe('the code, as objdump reads it', () => {
  test('of no step: map the progress page, exit; and what reports a failure', () => {
    expect(disassemble(program())).toEqual([
      'jmp #20',
      'mov rcx,rax',
      'neg rcx',
      'mov DWORD PTR ds:0x200004,ecx', // the page's errno
      'mov rcx,rax',
      'neg rcx',
      'mov DWORD PTR ds:0xa00108,ecx', // the message's value
      'mov DWORD PTR ds:0xa0010c,0x0',
      'mov DWORD PTR ds:0xa00100,0x2', // its kind
      'mov rax,QWORD PTR ds:0x200000',
      'mov DWORD PTR ds:0xa00104,eax', // its step
      'mov edi,0x3',
      'mov esi,0x600100',
      'mov edx,0x4000', // MSG_NOSIGNAL
      'mov eax,0x2e', // sendmsg
      'syscall',
      'mov edi,0x1',
      'mov eax,0xe7', // exit_group
      'syscall',
      'ud2',
      'mov edi,0x200000',
      'mov esi,0x1000',
      'mov edx,0x3',
      'mov r10d,0x11',
      'mov r8d,0x4',
      'xor r9d,r9d',
      'mov eax,0x9', // mmap
      'syscall',
      'cmp rax,0xfffffffffffff001',
      'jb #33',
      'mov edi,0x1',
      'mov eax,0xe7',
      'syscall',
      'mov edi,0x1',
      'mov eax,0xe7',
      'syscall',
    ]);
  });

  test('of a call', () => {
    expect(body(call('umask', [0o22], ORIGIN))).toEqual([
      'mov DWORD PTR ds:0x200000,0x1', // the step under way
      'mov edi,0x12',
      'mov eax,0x5f',
      'syscall',
      'cmp rax,0xfffffffffffff001',
      `jae #${FAILED}`,
    ]);
  });

  test('of a call that tolerates, tries again and keeps its result', () => {
    const options = { ...ORIGIN, tolerate: ['ENOENT'], retry: ['EINTR'], result: 'fd' };
    expect(body(call('openat', [-100, '/dev/null', 0], options))).toEqual([
      'mov DWORD PTR ds:0x200000,0x1',
      'mov rdi,0xffffffffffffff9c',
      'mov esi,0x600148', // the text
      'xor edx,edx',
      'mov eax,0x101',
      'syscall',
      'cmp rax,0xfffffffffffff001',
      'jb #46',
      'cmp rax,0xfffffffffffffffe', // ENOENT
      'je #47',
      'cmp rax,0xfffffffffffffffc', // EINTR
      'je #34',
      `jmp #${FAILED}`,
      'mov QWORD PTR ds:0xa00110,rax',
    ]);
  });

  test('of results as an argument and in a structure', () => {
    const written = struct('s', ['fd', 4, result('fd')], ['seven', 4, 7]);
    const [, , ...write] = body(
      { kind: 'set', result: 'fd', value: 0x123456789abcn, ...ORIGIN },
      call('write', [result('fd'), written, 8], ORIGIN),
    );
    expect(write).toEqual([
      'mov QWORD PTR ds:0xa00110,rax',
      'mov DWORD PTR ds:0x200000,0x2',
      'mov rax,QWORD PTR ds:0xa00110',
      'mov DWORD PTR ds:0x600148,eax',
      'mov rdi,QWORD PTR ds:0xa00110',
      'mov esi,0x600148',
      'mov edx,0x8',
      'mov eax,0x1',
      'syscall',
      'cmp rax,0xfffffffffffff001',
      `jae #${FAILED}`,
    ]);
  });

  test('of a check', () => {
    const at = place('statx', 16);
    expect(
      body({
        kind: 'check',
        at,
        offset: 4,
        width: 2,
        mask: 0xf000,
        equals: 0x4000,
        errno: 'ENOTDIR',
        ...ORIGIN,
      }),
    ).toEqual([
      'mov DWORD PTR ds:0x200000,0x1',
      'mov eax,DWORD PTR ds:0xa00114',
      'and eax,0xf000',
      'cmp eax,0x4000',
      'je #40',
      'mov rax,0xffffffffffffffec', // -ENOTDIR
      `jmp #${FAILED}`,
    ]);
  });

  test('of alternatives', () => {
    expect(
      body({
        kind: 'first',
        on: ['ENOENT'],
        of: [[call('close', [inherited('fifo')], ORIGIN)], [call('sync', [], ORIGIN)]],
        ...ORIGIN,
      }),
    ).toEqual([
      'mov DWORD PTR ds:0x200000,0x1',
      'mov DWORD PTR ds:0x200000,0x2',
      'mov edi,0x5',
      'mov eax,0x3',
      'syscall',
      'cmp rax,0xfffffffffffff001',
      'jae #41',
      'jmp #49', // done
      'cmp rax,0xfffffffffffffffe',
      'je #44',
      `jmp #${FAILED}`,
      'mov DWORD PTR ds:0x200000,0x3', // the other list
      'mov eax,0xa2',
      'syscall',
      'cmp rax,0xfffffffffffff001',
      `jae #${FAILED}`,
    ]);
  });
});

/** How often bytes occur. */
function occurrences(file: Uint8Array, text: string): number {
  const [bytes, wanted] = [Buffer.from(file), Buffer.from(text)];
  let count = 0;
  for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) count += 1;
  return count;
}

describe('the data', () => {
  test('each text is in the file once, however often it is used', () => {
    const long = 'a text that occurs often';
    const steps = Array.from({ length: 20 }, () => call('chdir', [long], ORIGIN));
    const exec = call('execve', [long, pointers('argv', [long, long, 'other']), 0], ORIGIN);
    expect(occurrences(program(...steps, exec), `${long}\0`)).toBe(1);
  });

  test('a program is small: 100 calls of a few arguments are a few KiB', () => {
    const steps = Array.from({ length: 100 }, (_, i) =>
      call('mkdirat', [-100, `directory ${i}`, 0o755], ORIGIN),
    );
    expect(program(...steps).length).toBeLessThan(8192);
  });

  test.each([0, 1, 100_000, 4_000_000])('a text of %i bytes is there, whole', (length) => {
    const text = 'x'.repeat(length);
    expect(occurrences(program(call('chdir', [`/${text}/`], ORIGIN)), `/${text}/\0`)).toBe(1);
  });

  test('text, pointers and places leave the file one that the kernel and binutils load', () => {
    const folder = mkdtempSync(join(tmpdir(), 'scow-compile-'));
    try {
      const file = join(folder, 'init');
      const elf = program(
        call('chdir', ['x'.repeat(123_457)], ORIGIN),
        call('getcwd', [place('large', 1 << 24), 1 << 24], ORIGIN),
      );
      writeFileSync(file, elf, { mode: 0o755 });
      const { stderr, status } = spawnSync('readelf', ['--all', '--wide', file], {
        encoding: 'utf8',
      });
      expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
      // Without its descriptors it can only end, with the status of a failure.
      expect(spawnSync(file, { stdio: 'ignore' })).toMatchObject({ status: 1, signal: null });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('the same steps give the same bytes', () => {
    const steps = () => [
      call('chdir', ['/a', 1n, -1, flags('X', { A: 1, B: 2 }, 'A', 'B')], ORIGIN),
    ];
    expect(program(...steps())).toEqual(program(...steps()));
    expect(textOf(program(...steps())).bytes.length).toBeGreaterThan(0);
  });
});

describe('what cannot be compiled is refused', () => {
  const step = (change: object) => ({ ...call('getpid', [], ORIGIN), ...change }) as Step;
  const REPORT: Step = { kind: 'report', point: 'p', ...ORIGIN };

  test.each<[string, Step[], RegExp]>([
    ['a result that no step makes', [call('close', [result('none')], ORIGIN)], /result none/],
    [
      'a result of a later step',
      [call('close', [result('late')], ORIGIN), step({ result: 'late' })],
      /no step before this one makes a result late/,
    ],
    [
      'a result of the step itself',
      [call('close', [result('own')], { ...ORIGIN, result: 'own' })],
      /result own/,
    ],
    [
      'an unknown result in a structure',
      [call('write', [1, struct('s', ['a', 8, result('none')]), 8], ORIGIN)],
      /result none/,
    ],
    [
      'an unknown result in a structure in a structure',
      [call('write', [1, struct('s', ['a', 8, struct('t', ['b', 2, result('none')])]), 8], ORIGIN)],
      /result none/,
    ],
    [
      'an unknown result that is kept',
      [{ kind: 'set', result: 'a', value: result('none'), ...ORIGIN }],
      /result none/,
    ],
    [
      'an unknown result that is handed over',
      [{ kind: 'report', point: 'p', send: [result('none')], ...ORIGIN }],
      /result none/,
    ],
    [
      'an unknown result that is told',
      [{ kind: 'report', point: 'p', value: result('none'), ...ORIGIN }],
      /result none/,
    ],
    [
      'a descriptor that the plan lacks',
      [call('close', [inherited('spare')], ORIGIN)],
      /^the plan has no descriptor spare$/,
    ],
    ['an errno to tolerate', [step({ tolerate: ['ENOTHING'] })], /^unknown errno ENOTHING$/],
    ['an errno to retry', [step({ retry: ['EINTER'] })], /^unknown errno EINTER$/],
    [
      'a report in a loop',
      [{ kind: 'each', as: 'x', values: [1], of: [REPORT], origin: () => ORIGIN, ...ORIGIN }],
      /^the step «report» can't be in a loop$/,
    ],
    [
      'a loop without values',
      [{ kind: 'each', as: 'x', values: [], of: [], origin: () => ORIGIN, ...ORIGIN }],
      /^a loop without values$/,
    ],
    [
      'an errno of alternatives',
      [{ kind: 'first', of: [[step({})], []], on: ['EWHAT'], ...ORIGIN }],
      /^unknown errno EWHAT$/,
    ],
    [
      'an errno of a check',
      [
        {
          kind: 'check',
          at: place('p', 8),
          offset: 0,
          width: 4,
          equals: 0,
          errno: 'EX',
          ...ORIGIN,
        },
      ],
      /^unknown errno EX$/,
    ],
    [
      'a place of two sizes',
      [call('getcwd', [place('p', 8), 8], ORIGIN), call('getcwd', [place('p', 16), 16], ORIGIN)],
      /^place p has 8 bytes, not 16$/,
    ],
    [
      'a seventh argument',
      [call('getpid', [1, 2, 3, 4, 5, 6, 7], ORIGIN)],
      /^a system call has no argument 6$/,
    ],
    [
      'a NUL byte in a text',
      [call('chdir', ['/a\0b'], ORIGIN)],
      /^"\/a\\u0000b" contains a NUL byte$/,
    ],
    [
      'a NUL byte in an argument of the program',
      [call('execve', ['/a', pointers('argv', ['a', 'b\0c']), 0], ORIGIN)],
      /^"b\\u0000c" contains a NUL byte$/,
    ],
    [
      'more than 4 MiB',
      [call('chdir', ['x'.repeat(1 << 22)], ORIGIN)],
      /^arguments, environment and paths take \d+ bytes: more than 4 MiB$/,
    ],
  ])('%s', (_, steps, message) => {
    expect(() => program(...steps)).toThrow(message);
  });

  test('no descriptor for the talk, or for the progress page', () => {
    expect(() => compile([], new Map([['control', 3]]))).toThrow(
      'the plan has no descriptor progress',
    );
    expect(() => compile([], new Map([['progress', 3]]))).toThrow(
      'the plan has no descriptor control',
    );
  });
});
