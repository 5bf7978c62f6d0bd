import { closeSync, fstatSync, readlinkSync, readSync } from 'node:fs';
import { MFD } from '../../../runtime/linux/constants.ts';
import { syscall } from '../../../runtime/linux/syscall.ts';
import {
  call,
  inherited,
  place,
  pointers,
  result,
  type Step,
  struct,
  type Value,
} from '../../../runtime/plan/step.ts';
import { EXIT, InitProgram, ORIGIN, runSteps, say, write } from '../../helpers/init-program.ts';

let file: number;
let sparse: number;
beforeEach(() => {
  file = syscall('memfd_create', 'written by init', MFD.CLOEXEC);
  sparse = syscall('memfd_create', 'to seek in', MFD.CLOEXEC);
});
afterEach(() => {
  closeSync(file);
  closeSync(sparse);
});

/** What a program wrote to the descriptor `file`. */
function written(): Buffer {
  const bytes = Buffer.alloc(fstatSync(file).size);
  readSync(file, bytes, 0, bytes.length, 0);
  return bytes;
}

/** Runs steps that write to the descriptor `file`, and must end well. */
function output(...steps: Step[]): Buffer {
  const { failed, status } = runSteps([...steps, EXIT], { descriptors: { file, sparse } });
  expect({ failed, status }).toEqual({ failed: undefined, status: 0 });
  return written();
}

function writeMemory(at: Value, bytes: number): Step {
  return call('write', [inherited('file'), at, bytes], ORIGIN);
}

function keep(name: string, value: Value): Step {
  return { kind: 'set', result: name, value, ...ORIGIN };
}

const BIG = 0x1122334455667788n;

describe('a result', () => {
  test('is an argument of later steps', () => {
    const { said } = runSteps([
      call('memfd_create', ['m', 0], { ...ORIGIN, result: 'm' }),
      call('ftruncate', [result('m'), 4567], ORIGIN),
      call('lseek', [result('m'), 0, 2], { ...ORIGIN, result: 'end' }),
      say('end', result('end')),
      call('lseek', [result('m'), result('end'), 1], { ...ORIGIN, result: 'end' }),
      say('twice', result('end')),
      EXIT,
    ]);
    expect(said).toEqual(['end=4567', 'twice=9134']);
  });

  test('is stored in fields of 2, 4 and 8 bytes, and nothing beside them changes', () => {
    const fields = struct(
      'mixed',
      ['before', 2, 0xffff],
      ['two', 2, result('big')],
      ['between', 4, 0xffffffff],
      ['four', 4, result('big')],
      ['between', 4, -1],
      ['eight', 8, result('big')],
      ['after', 8, -1],
    );
    const bytes = output(keep('big', BIG), writeMemory(fields, 32));
    expect(bytes.toString('hex')).toBe(
      ['ffff', '8877', 'ffffffff', '88776655', 'ffffffff', '8877665544332211', 'f'.repeat(16)].join(
        '',
      ),
    );
  });

  test('may be given anew, and the last value counts', () => {
    const { said } = runSteps([
      keep('x', 1),
      say('first', result('x')),
      keep('x', 2),
      keep('y', result('x')),
      keep('x', 3),
      say('x', result('x')),
      say('y', result('y')),
      EXIT,
    ]);
    expect(said).toEqual(['first=1', 'x=3', 'y=2']);
  });

  test('fills the same structure at each use', () => {
    const field = struct('field', ['value', 4, result('x')]);
    const bytes = output(keep('x', 1), writeMemory(field, 4), keep('x', 2), writeMemory(field, 4));
    expect([bytes.readUInt32LE(0), bytes.readUInt32LE(4)]).toEqual([1, 2]);
  });
});

describe('constants', () => {
  const values: (number | bigint)[] = [
    0,
    1,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    2 ** 32,
    2 ** 40 + 5,
    Number.MAX_SAFE_INTEGER,
    2n ** 53n + 1n,
    2n ** 63n - 1n,
    2n ** 63n,
    2n ** 64n - 1n,
    -1,
    -2,
    -0x7fffffff,
    -0x80000000,
    -0x80000001,
    -(2 ** 40),
    -(2n ** 63n),
  ];

  test.each(values)('%p is set, and a field of a structure, with all 64 bits', (value) => {
    const bytes = output(
      keep('value', value),
      writeMemory(struct('both', ['constant', 8, value], ['result', 8, result('value')]), 16),
    );
    const expected = BigInt.asUintN(64, BigInt(value));
    expect([bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8)]).toEqual([expected, expected]);
  });

  test.each(values.filter((value) => value >= 0 && value < 2n ** 63n))(
    '%p is an argument with all its bits',
    (value) => {
      const bytes = output(
        call('lseek', [inherited('sparse'), value, 0], { ...ORIGIN, result: 'offset' }),
        writeMemory(struct('offset', ['offset', 8, result('offset')]), 8),
      );
      expect(bytes.readBigUInt64LE(0)).toBe(BigInt(value));
    },
  );

  test.each([-1, -1n, 2n ** 64n - 1n])('%p as an argument is -1', (value) => {
    const { failed, status } = runSteps(
      // -1 leaves owner and group alone; anything else is changed or refused.
      [call('fchown', [inherited('file'), value, value], ORIGIN), EXIT],
      { descriptors: { file } },
    );
    expect({ failed, status }).toEqual({ failed: undefined, status: 0 });
    expect(fstatSync(file)).toMatchObject({ uid: 0, gid: 0 });
  });

  test('narrow fields take negative numbers', () => {
    const narrow = struct('narrow', ['two', 2, -2], ['four', 4, -3], ['two', 2, 0xfffe]);
    expect(output(writeMemory(narrow, 8)).toString('hex')).toBe('fefffdfffffffeff');
  });
});

describe('set', () => {
  test("keeps a text's address", () => {
    expect(output(keep('text', 'Grüße'), writeMemory(result('text'), 7)).toString()).toBe('Grüße');
  });

  test("keeps a place's address, and places are zeroed and apart", () => {
    const [a, b] = [place('a', 16), place('b', 3)];
    const bytes = output(
      writeMemory(a, 16),
      call('getrandom', [a, 16, 0], ORIGIN),
      writeMemory(b, 3),
      keep('a', a),
      call('memfd_create', ['copy', 0], { ...ORIGIN, result: 'copy' }),
      call('write', [result('copy'), result('a'), 16], ORIGIN),
      writeMemory(a, 16),
    );
    expect(bytes.subarray(0, 19).equals(Buffer.alloc(19))).toBe(true);
    expect(bytes.subarray(19).equals(Buffer.alloc(16))).toBe(false);
  });

  test('keeps an inherited descriptor, a flag and another result', () => {
    const { said } = runSteps(
      [
        keep('file', inherited('file')),
        say('file', result('file')),
        keep('flags', { flags: 0o644, text: '0644' }),
        keep('copy', result('flags')),
        say('copy', result('copy')),
        EXIT,
      ],
      { descriptors: { file } },
    );
    expect(said).toEqual(['file=5', `copy=${0o644}`]);
  });

  test('keeps the address of a structure whose fields are results', () => {
    const steps = [
      keep('x', 41),
      keep('structure', struct('s', ['x', 8, result('x')])),
      writeMemory(result('structure'), 8),
    ];
    expect(output(...steps).readBigUInt64LE()).toBe(41n);
  });
});

describe('report', () => {
  test('carries values of 64 bits, negative ones too', () => {
    const { said } = runSteps([
      say('constant', -5),
      say('wide', 2 ** 40 + 1),
      keep('x', -(2 ** 41)),
      say('result', result('x')),
      EXIT,
    ]);
    expect(said).toEqual(['constant=-5', `wide=${2 ** 40 + 1}`, `result=${-(2 ** 41)}`]);
  });

  test('without a value has 0, whatever was reported before', () => {
    expect(runSteps([say('a', 77), say('b'), EXIT]).said).toEqual(['a=77', 'b']);
  });

  test.each([1, 2, 3, 4, 8])('hands %i descriptors over, in order', (count) => {
    const names = Array.from({ length: count }, (_, i) => `memfd ${i}`);
    const program = new InitProgram(
      [
        ...names.map((name) => call('memfd_create', [name, 0], { ...ORIGIN, result: name })),
        { kind: 'report', point: 'all', send: names.map(result), value: 9, ...ORIGIN },
        EXIT,
      ],
      { descriptors: { file } },
    );
    try {
      const message = program.next();
      if (message.kind !== 'report') throw new Error(message.kind);
      expect(message.value).toBe(9);
      expect(message.descriptors.map(nameOf)).toEqual(
        names.map((name) => `/memfd:${name} (deleted)`),
      );
    } finally {
      program.close();
    }
  });

  test('hands inherited descriptors over, beside results', () => {
    const program = new InitProgram(
      [
        call('memfd_create', ['own', 0], { ...ORIGIN, result: 'own' }),
        {
          kind: 'report',
          point: 'both',
          send: [inherited('file'), result('own')],
          answer: {},
          ...ORIGIN,
        },
        write('file', 'still mine'),
        EXIT,
      ],
      { descriptors: { file } },
    );
    try {
      const message = program.next();
      if (message.kind !== 'report') throw new Error(message.kind);
      const [theirs, own] = message.descriptors;
      expect(fstatSync(theirs as number).ino).toBe(fstatSync(file).ino);
      expect(nameOf(own as number)).toBe('/memfd:own (deleted)');
      program.answer();
      expect(program.wait()).toEqual({ status: 0 });
      expect(written().toString()).toBe('still mine');
    } finally {
      program.close();
    }
  });

  test('waits for the answer, and puts its bytes into the place', () => {
    const answer = place('answered', 64);
    const program = new InitProgram(
      [
        { kind: 'report', point: 'ask', answer: { into: answer }, ...ORIGIN },
        call('write', [inherited('file'), answer, answer.size], ORIGIN),
        { kind: 'report', point: 'again', answer: { into: answer }, ...ORIGIN },
        call('write', [inherited('file'), answer, answer.size], ORIGIN),
        EXIT,
      ],
      { descriptors: { file } },
    );
    try {
      program.reached('ask');
      expect(written()).toHaveLength(0);
      const first = Buffer.alloc(64, 'a');
      program.answer(first);
      program.reached('again');
      expect(written().equals(first)).toBe(true);
      program.answer(Buffer.from('four'));
      expect(program.wait()).toEqual({ status: 0 });
      expect(written().subarray(64).toString()).toBe(`four${'a'.repeat(60)}`);
    } finally {
      program.close();
    }
  });

  test('keeps what of an answer its place can hold', () => {
    const [small, next] = [place('small', 8), place('next', 8)];
    const program = new InitProgram(
      [
        call('getcwd', [next, 8], { ...ORIGIN, tolerate: ['ERANGE'] }),
        { kind: 'report', point: 'ask', answer: { into: small }, ...ORIGIN },
        call('write', [inherited('file'), small, 8], ORIGIN),
        call('write', [inherited('file'), next, 8], ORIGIN),
        EXIT,
      ],
      { descriptors: { file } },
    );
    try {
      program.reached('ask');
      program.answer(Buffer.alloc(100, 'x'));
      expect(program.wait()).toEqual({ status: 0 });
      expect(written().toString('latin1')).toBe(`${'x'.repeat(8)}${'\0'.repeat(8)}`);
    } finally {
      program.close();
    }
  });
});

test('a program of a megabyte of arguments and environment gets them all', () => {
  const args = [
    '/bin/sh',
    '-c',
    'cat /proc/$$/cmdline; cat /proc/$$/environ; :',
    'sh',
    ...Array.from({ length: 10_000 }, (_, i) => `argument ${i} ${'a'.repeat(20)}`),
    'b'.repeat(100_000),
  ];
  const environment = [
    'PATH=/usr/bin:/bin',
    ...Array.from({ length: 5_000 }, (_, i) => `VARIABLE_${i}=${'c'.repeat(60)}`),
    `LONG=${'d'.repeat(120_000)}`,
    'EMPTY=',
  ];
  const program = [
    call('dup3', [inherited('file'), 1, 0], ORIGIN),
    call('execve', ['/bin/sh', pointers('argv', args), pointers('envp', environment)], ORIGIN),
  ];
  const { status } = runSteps(program, { descriptors: { file } });
  expect(status).toBe(0);
  const all = [...args, ...environment].map((text) => `${text}\0`).join('');
  expect(all.length).toBeGreaterThan(900_000);
  expect(written().equals(Buffer.from(all))).toBe(true);
});

/** What procfs says that a descriptor is. */
function nameOf(fd: number): string {
  return readlinkSync(`/proc/self/fd/${fd}`);
}
