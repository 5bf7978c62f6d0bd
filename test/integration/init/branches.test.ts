import { closeSync, readFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { O } from '../../../runtime/linux/constants.ts';
import { syscall } from '../../../runtime/linux/syscall.ts';
import { call, inherited, place, result, type Step, struct } from '../../../runtime/plan/step.ts';
import { EXIT, InitProgram, ORIGIN, runSteps, say } from '../../helpers/init-program.ts';

const { SIGSTOP, SIGCONT, SIGUSR1 } = constants.signals;

/** A call that fails with ENOENT, EBADF, ENOTDIR or EINVAL. */
const FAILS = {
  ENOENT: () => call('chdir', ['/no such directory'], ORIGIN),
  EBADF: () => call('close', [-1], ORIGIN),
  ENOTDIR: () => call('chdir', ['/proc/self/status'], ORIGIN),
  EINVAL: () => call('lseek', [inherited('control'), 0, 99], ORIGIN),
  ESPIPE: () => call('lseek', [inherited('control'), 0, 0], ORIGIN),
};

function first(on: string[], ...of: Step[][]): Step {
  return { kind: 'first', of, on, ...ORIGIN };
}

function set(name: string, value: number): Step {
  return { kind: 'set', result: name, value, ...ORIGIN };
}

describe('tolerate', () => {
  test('goes on after a listed error', () => {
    const { said, status } = runSteps([
      call('chdir', ['/no such directory'], { ...ORIGIN, tolerate: ['EPERM', 'ENOENT'] }),
      say('after'),
      EXIT,
    ]);
    expect({ said, status }).toEqual({ said: ['after'], status: 0 });
  });

  test('fails with any other', () => {
    const outcome = runSteps([
      say('before'),
      call('chdir', ['/no such directory'], { ...ORIGIN, tolerate: ['EPERM', 'ENOTDIR'] }),
      say('after'),
    ]);
    expect(outcome).toMatchObject({ said: ['before'], failed: '2 ENOENT', status: 1 });
  });

  test('does not keep the error as a result', () => {
    const tolerant = { ...ORIGIN, tolerate: ['ENOENT'], result: 'fd' };
    const { said } = runSteps([
      call('openat', [-1, '/no such file', 0], tolerant),
      say('never', result('fd')),
      set('fd', 44),
      call('openat', [-1, '/no such file', 0], tolerant),
      say('before', result('fd')),
      call('memfd_create', ['x', 0], tolerant),
      call('fcntl', [result('fd'), 1, 0], { ...ORIGIN, result: 'flags' }),
      say('kept', result('flags')),
      EXIT,
    ]);
    expect(said).toEqual(['never', 'before=44', 'kept']);
  });
});

describe('retry', () => {
  const WAITS = place('byte', 8);

  test('makes the call again until it succeeds', () => {
    const [read, end] = pipe();
    const program = new InitProgram(
      [
        { kind: 'report', point: 'begins', ...ORIGIN },
        call('read', [inherited('pipe'), WAITS, 8], {
          ...ORIGIN,
          retry: ['EINTR', 'EAGAIN'],
          result: 'bytes',
        }),
        say('read', result('bytes')),
        EXIT,
      ],
      { descriptors: { pipe: read } },
    );
    try {
      program.reached('begins');
      writeSync(end, 'abc');
      expect(program.reached('read')).toBe(3);
      expect(program.wait()).toEqual({ status: 0 });
    } finally {
      program.close();
      closeSync(read);
      closeSync(end);
    }
  });

  // This call ends with EINTR when the process is stopped and continued, without any handler
  // (signal(7)).
  const interrupted = (retry: string[]): Step[] => [
    say('begins'),
    call('rt_sigtimedwait', [struct('set', ['bits', 8, 1 << (SIGUSR1 - 1)]), 0, 0, 8], {
      ...ORIGIN,
      retry,
      result: 'signal',
    }),
    say('signal', result('signal')),
    EXIT,
  ];

  test('a call that is interrupted goes on', async () => {
    const program = new InitProgram(interrupted(['EINTR']));
    try {
      program.reached('begins');
      for (let i = 0; i < 3; i++) {
        await state(program, 'S');
        program.signal(SIGSTOP);
        await state(program, 'T');
        program.signal(SIGCONT);
      }
      await state(program, 'S');
      expect(program.progress()).toEqual({ step: 2, errno: 0 });
      program.signal(SIGUSR1);
      expect(program.reached('signal')).toBe(SIGUSR1);
      expect(program.wait()).toEqual({ status: 0 });
    } finally {
      program.close();
    }
  });

  test('without it the interruption is a failure', async () => {
    const program = new InitProgram(interrupted(['EAGAIN']));
    try {
      program.reached('begins');
      await state(program, 'S');
      program.signal(SIGSTOP);
      await state(program, 'T');
      program.signal(SIGCONT);
      expect(program.finish()).toMatchObject({ failed: '2 EINTR', status: 1 });
    } finally {
      program.close();
    }
  });

  function pipe(): [number, number] {
    const ends = new DataView(new ArrayBuffer(8));
    syscall('pipe2', new Uint8Array(ends.buffer), O.NONBLOCK | O.CLOEXEC);
    return [ends.getInt32(0, true), ends.getInt32(4, true)];
  }

  async function state(program: InitProgram, letter: string): Promise<void> {
    for (;;) {
      const stat = readFileSync(`/proc/${program.pid}/stat`, 'latin1');
      if (stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === letter) return;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
});

describe('first', () => {
  test('the first list that succeeds is the only one', () => {
    const { said } = runSteps([
      first(['ENOENT'], [say('one'), say('still one')], [say('two')]),
      say('after'),
      EXIT,
    ]);
    expect(said).toEqual(['one', 'still one', 'after']);
  });

  test('an error in the middle of a list leads to the next one', () => {
    const { said, status } = runSteps([
      first(
        ['ENOENT', 'EBADF'],
        [say('one'), FAILS.ENOENT(), say('not reached')],
        [say('two'), FAILS.EBADF(), say('not reached')],
        [say('three')],
        [say('not reached')],
      ),
      say('after'),
      EXIT,
    ]);
    expect(said).toEqual(['one', 'two', 'three', 'after']);
    expect(status).toBe(0);
  });

  test('an error that is not listed is final, with its own number', () => {
    const outcome = runSteps([
      say('before'),
      first(['ENOENT'], [say('one'), FAILS.EBADF()], [say('two')]),
      say('after'),
    ]);
    expect(outcome).toMatchObject({
      said: ['before', 'one'],
      failed: '4 EBADF',
      progress: { step: 4, errno: constants.errno.EBADF },
      status: 1,
    });
  });

  test("the last list's errors are final, listed or not", () => {
    const last = runSteps([
      first(['ENOENT'], [FAILS.ENOENT()], [say('two'), FAILS.ENOENT()]),
      say('after'),
    ]);
    expect(last).toMatchObject({ said: ['two'], failed: '4 ENOENT' });
    const only = runSteps([first(['ENOENT'], [FAILS.ENOENT()]), say('after')]);
    expect(only).toMatchObject({ said: [], failed: '2 ENOENT' });
  });

  test('an empty last list means: nothing else is needed', () => {
    const { said, status } = runSteps([
      first(['ENOENT'], [FAILS.ENOENT()], []),
      say('after'),
      EXIT,
    ]);
    expect({ said, status }).toEqual({ said: ['after'], status: 0 });
  });

  test('tolerated errors of a list do not end it', () => {
    const tolerant = call('chdir', ['/no such directory'], { ...ORIGIN, tolerate: ['ENOENT'] });
    const { said } = runSteps([first(['ENOENT'], [tolerant, say('one')], [say('two')]), EXIT]);
    expect(said).toEqual(['one']);
  });

  test('a call that stops the retrying of its errors goes to the next list', () => {
    const stubborn = call('close', [-1], { ...ORIGIN, retry: ['EINTR'], tolerate: ['EAGAIN'] });
    const { said } = runSteps([first(['EBADF'], [stubborn, say('one')], [say('two')]), EXIT]);
    expect(said).toEqual(['two']);
  });

  test('results made in a list serve after it', () => {
    const choose = (fails: Step[]) => [
      first(['ENOENT'], [...fails, set('choice', 1)], [set('choice', 2)]),
      say('choice', result('choice')),
      EXIT,
    ];
    expect(runSteps(choose([])).said).toEqual(['choice=1']);
    expect(runSteps(choose([FAILS.ENOENT()])).said).toEqual(['choice=2']);
  });

  describe('inside another', () => {
    const nested = (...inner: Step[]) => [
      first(
        ['ENOENT', 'ENOTDIR'],
        [say('outer'), first(['ENOENT', 'EBADF'], inner, [say('inner two')]), say('joined')],
        [say('outer two')],
      ),
      say('after'),
      EXIT,
    ];

    test.each([
      ['success', [], ['outer', 'joined', 'after']],
      ['an error of the inner', [FAILS.EBADF()], ['outer', 'inner two', 'joined', 'after']],
      ['an error of both', [FAILS.ENOENT()], ['outer', 'inner two', 'joined', 'after']],
      ['an error of the outer', [FAILS.ENOTDIR()], ['outer', 'outer two', 'after']],
    ])('%s', (_, inner, said) => {
      expect(runSteps(nested(...inner))).toMatchObject({ said, status: 0 });
    });

    test('an error of neither', () => {
      expect(runSteps(nested(FAILS.ESPIPE()))).toMatchObject({
        said: ['outer'],
        failed: '4 ESPIPE',
      });
    });

    test("the inner's last list fails into the outer's next", () => {
      const { said, status } = runSteps([
        first(
          ['ENOENT'],
          [first(['EBADF'], [FAILS.EBADF()], [say('last'), FAILS.ENOENT()])],
          [say('next')],
        ),
        EXIT,
      ]);
      expect({ said, status }).toEqual({ said: ['last', 'next'], status: 0 });
    });

    test("the outer's last list is final for the inner's last", () => {
      const outcome = runSteps([
        first(
          ['ENOENT'],
          [FAILS.ENOENT()],
          [first(['ENOENT'], [FAILS.ENOENT()], [say('last'), FAILS.ENOENT()])],
        ),
      ]);
      expect(outcome).toMatchObject({ said: ['last'], failed: '6 ENOENT' });
    });

    test('three deep, with results on the way', () => {
      const deep = first(
        ['EINVAL'],
        [
          first(
            ['ENOTDIR'],
            [set('x', 1), first(['ENOENT'], [FAILS.ENOENT()], [set('x', 2), FAILS.ENOTDIR()])],
            [say('x', result('x')), set('y', 3), FAILS.EINVAL()],
          ),
        ],
        [say('y', result('y'))],
      );
      expect(runSteps([deep, EXIT])).toMatchObject({ said: ['x=2', 'y=3'], status: 0 });
    });
  });

  test('a failed check leads to the next list too', () => {
    const at = place('zero', 8);
    const { said } = runSteps([
      first(
        ['EBADE'],
        [
          { kind: 'check', at, offset: 0, width: 4, equals: 1, errno: 'EBADE', ...ORIGIN },
          say('one'),
        ],
        [say('two')],
      ),
      EXIT,
    ]);
    expect(said).toEqual(['two']);
  });
});
