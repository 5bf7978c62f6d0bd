import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { CLONE, MFD } from '../../../runtime/linux/constants.ts';
import { NUMBERS } from '../../../runtime/linux/numbers.ts';
import { syscall } from '../../../runtime/linux/syscall.ts';
import { call, place, type Step, struct } from '../../../runtime/plan/step.ts';
import {
  EXIT,
  InitProgram,
  ORIGIN,
  runSteps,
  say,
  waitFor,
  write,
} from '../../helpers/init-program.ts';

const { SIGKILL, SIGSYS, SIGSEGV } = constants.signals;
const { ENOENT, EBADF } = constants.errno;

const ASK: Step = { kind: 'report', point: 'ask', answer: {}, ...ORIGIN };
const WAIT_FOR_EVER = call('rt_sigtimedwait', [struct('none', ['bits', 8, 0]), 0, 0, 8], ORIGIN);

function using<T>(program: InitProgram, use: (program: InitProgram) => T): T {
  try {
    return use(program);
  } finally {
    program.close();
  }
}

describe('end of file of the control socket', () => {
  test('while it waits for an answer: the program ends quietly, and does nothing more', () => {
    const file = syscall('memfd_create', 'witness', MFD.CLOEXEC);
    const steps = [ASK, write('file', 'went on')];
    using(new InitProgram(steps, { descriptors: { file } }), (program) => {
      program.reached('ask');
      program.hangUp();
      expect(program.wait()).toEqual({ status: 0 });
      expect(program.progress()).toEqual({ step: 1, errno: 0 });
      expect(readFileSync(`/proc/self/fd/${file}`, 'latin1')).toBe('');
    });
    syscall('close', file);
  });

  test('with answers left unread: they count first', () => {
    using(new InitProgram([ASK, { ...ASK, point: 'second' }, { ...ASK }]), (program) => {
      program.reached('ask');
      program.answer();
      program.reached('second');
      program.hangUp();
      expect(program.wait()).toEqual({ status: 0 });
      expect(program.progress()).toEqual({ step: 2, errno: 0 });
    });
  });

  test('a report that nobody can hear any more is a failure, not a signal', () => {
    using(new InitProgram([ASK, say('unheard')]), (program) => {
      program.reached('ask');
      program.answer();
      program.hangUp();
      expect([0, 1]).toContain(program.wait().status);
    });
  });
});

describe('a failure', () => {
  const fails = (name: string) => call('chdir', [`/no such directory ${name}`], ORIGIN);

  test.each([0, 1, 2, 50, 300])('after %i steps names its step and errno', (before) => {
    const steps = [
      ...Array.from({ length: before }, (_, i) => call('umask', [i], ORIGIN)),
      fails('x'),
      say('not reached'),
    ];
    expect(runSteps(steps)).toEqual({
      said: [],
      failed: `${before + 1} ENOENT`,
      progress: { step: before + 1, errno: ENOENT },
      status: 1,
    });
  });

  test('numbers count the steps of all lists, taken or not', () => {
    const first = (...of: Step[][]): Step => ({ kind: 'first', of, on: ['ENOENT'], ...ORIGIN });
    const steps = [
      first([first([say('a')], [say('never'), say('never')])], [say('never')]),
      first([fails('1')], [fails('2')], []),
      call('close', [-1], ORIGIN),
    ];
    expect(runSteps(steps)).toMatchObject({
      failed: '10 EBADF',
      progress: { step: 10, errno: EBADF },
    });
  });

  test('of a report: the other side cannot take the descriptor', () => {
    const steps: Step[] = [say('begins'), { kind: 'report', point: 'bad', send: [999], ...ORIGIN }];
    expect(runSteps(steps)).toMatchObject({ said: ['begins'], failed: '2 EBADF' });
  });

  test('of a check has the errno that the check names', () => {
    const at = place('zero', 8);
    const steps: Step[] = [
      say('begins'),
      { kind: 'check', at, offset: 0, width: 4, equals: 1, errno: 'EXDEV', ...ORIGIN },
    ];
    expect(runSteps(steps)).toMatchObject({
      failed: '2 EXDEV',
      progress: { step: 2, errno: constants.errno.EXDEV },
    });
  });

  test('of fork: a process that is the first of a PID namespace has no brothers', () => {
    const outcome = runSteps([say('begins'), { kind: 'fork', ...ORIGIN }], {
      namespaces: CLONE.NEWPID,
    });
    expect(outcome).toMatchObject({ failed: '2 EINVAL' });
  });

  test('without a plan that goes on after it is the end: status 1', () => {
    expect(runSteps([say('only')])).toMatchObject({ said: ['only'], status: 1 });
  });
});

describe('a program that is killed leaves its place in the progress page', () => {
  test('by SIGKILL, in a call', () => {
    using(new InitProgram([say('begins'), WAIT_FOR_EVER]), (program) => {
      program.reached('begins');
      while (program.progress().step < 2);
      program.signal(SIGKILL);
      expect(program.next()).toEqual({ kind: 'end' });
      expect(program.wait()).toEqual({ signal: SIGKILL });
      expect(program.progress()).toEqual({ step: 2, errno: 0 });
    });
  });

  test('by SIGKILL, while it waits for an answer', () => {
    using(new InitProgram([say('begins'), { ...ASK }]), (program) => {
      program.reached('begins');
      program.reached('ask');
      program.signal(SIGKILL);
      expect(program.next()).toEqual({ kind: 'end' });
      expect(program.wait()).toEqual({ signal: SIGKILL });
      expect(program.progress()).toEqual({ step: 2, errno: 0 });
    });
  });

  test('by SIGSYS of its own seccomp filter', () => {
    const outcome = runSteps([
      call('prctl', [38, 1, 0, 0, 0], ORIGIN),
      call('seccomp', [1, 0, killing('getuid')], ORIGIN),
      call('getpid', [], ORIGIN),
      call('getuid', [], ORIGIN),
      say('not reached'),
    ]);
    expect(outcome).toEqual({ said: [], signal: SIGSYS, progress: { step: 4, errno: 0 } });
  });

  test('by a filter that refuses to report a failure', () => {
    const outcome = runSteps([
      call('prctl', [38, 1, 0, 0, 0], ORIGIN),
      call('seccomp', [1, 0, killing('sendmsg')], ORIGIN),
      call('chdir', ['/no such directory'], ORIGIN),
    ]);
    expect(outcome).toEqual({ said: [], signal: SIGSYS, progress: { step: 3, errno: ENOENT } });
  });

  test('by a signal of its own making', () => {
    const outcome = runSteps([
      say('begins'),
      call('munmap', [0xa00000, 0x10000], ORIGIN),
      say('not reached'),
    ]);
    expect(outcome).toMatchObject({ said: ['begins'], signal: SIGSEGV, progress: { step: 3 } });
  });

  /** `struct sock_fprog` of a filter that kills the process at one system call (seccomp(2)). */
  function killing(name: keyof typeof NUMBERS) {
    const instruction = (code: number, jumps: number, k: number) =>
      [
        ['code', 2, code],
        ['jt, jf', 2, jumps],
        ['k', 4, k],
      ] as const;
    const filter = struct(
      'filter',
      ...instruction(0x20, 0, 0), // load the number of the call
      ...instruction(0x15, 0x0100, NUMBERS[name]), // equal: go on, else jump 1
      ...instruction(0x06, 0, 0x80000000), // SECCOMP_RET_KILL_PROCESS
      ...instruction(0x06, 0, 0x7fff0000), // SECCOMP_RET_ALLOW
    );
    return struct('fprog', ['len', 2, 4], ['', 2, 0], ['', 4, 0], ['filter', 8, filter]);
  }
});

describe('fork', () => {
  const fork: Step = { kind: 'fork', ...ORIGIN };

  test('goes on in a child of this process, whose PID is handed over', () => {
    using(
      new InitProgram([say('begins'), fork, { ...ASK }, call('exit_group', [7], ORIGIN)]),
      (p) => {
        p.reached('begins');
        const pid = forked(p);
        expect(pid).not.toBe(p.pid);
        expect(parentOf(pid)).toBe(process.pid);
        p.reached('ask');
        p.answer();
        expect(waitFor(pid)).toEqual({ status: 7 });
        expect(p.progress()).toEqual({ step: 4, errno: 0 });
      },
    );
  });

  test('in a new PID namespace the child is PID 1', () => {
    const steps = [
      call('unshare', [CLONE.NEWPID], ORIGIN),
      fork,
      call('getpid', [], { ...ORIGIN, result: 'pid' }),
      say('pid', { result: 'pid' }),
      ASK,
      EXIT,
    ];
    using(new InitProgram(steps), (p) => {
      const child = forked(p);
      expect(p.reached('pid')).toBe(1);
      p.reached('ask');
      expect(readFileSync(`/proc/${child}/status`, 'latin1')).toMatch(
        new RegExp(`^NSpid:\\t${child}\\t1$`, 'm'),
      );
      p.answer();
      expect(waitFor(child)).toEqual({ status: 0 });
    });
  });

  test('the child has the same descriptors, and its messages come after the PID', () => {
    const file = syscall('memfd_create', 'shared', MFD.CLOEXEC);
    const steps = [fork, write('file', 'by the child'), ASK, EXIT];
    for (let i = 0; i < 20; i++)
      using(new InitProgram(steps, { descriptors: { file } }), (p) => {
        const child = forked(p);
        p.reached('ask');
        expect(readdirSync(`/proc/${child}/fd`).map(Number)).toEqual([0, 1, 2, 3, 4, 5]);
        expect(readlinkSync(`/proc/${child}/fd/5`)).toContain('shared');
        p.answer();
        expect(waitFor(child)).toEqual({ status: 0 });
      });
    syscall('close', file);
  });

  test('the child ends quietly when nobody answers any more', () => {
    using(new InitProgram([fork, ASK, say('not reached')]), (p) => {
      const child = forked(p);
      p.reached('ask');
      p.hangUp();
      expect(waitFor(child)).toEqual({ status: 0 });
      expect(p.progress()).toEqual({ step: 2, errno: 0 });
    });
  });

  test('failures of the child are told like any', () => {
    using(new InitProgram([fork, call('chdir', ['/no such directory'], ORIGIN)]), (p) => {
      const child = forked(p);
      expect(p.next()).toMatchObject({ kind: 'failure', errno: ENOENT });
      expect(waitFor(child)).toEqual({ status: 1 });
      expect(p.progress()).toEqual({ step: 2, errno: ENOENT });
    });
  });

  /** The child's PID: its first message. */
  function forked(program: InitProgram): number {
    const message = program.next();
    if (message.kind !== 'report' || message.step.kind !== 'fork') throw new Error(message.kind);
    expect(program.wait()).toEqual({ status: 0 });
    return message.value;
  }

  function parentOf(pid: number): number {
    return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  }
});
