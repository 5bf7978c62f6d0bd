import { readFileSync } from 'node:fs';
import type { Seccomp, SeccompArgument } from '../../../schemas/runtime-config.ts';
import { both, type Edit, output, type Runtime, run } from '../../helpers/container.ts';
import { bundleOf, cleanUp, ENGINES, newId, scow } from '../../helpers/scow.ts';
import {
  asUser,
  calling,
  compileCalls,
  confined,
  executing,
  gaining,
  NR,
  removeCalls,
} from './calls.ts';

beforeAll(compileCalls);
afterAll(removeCalls);
afterEach(cleanUp);

const RUNTIMES: readonly Runtime[] = [...ENGINES, 'runc'];

/** The lines that a confined program prints. */
function lines(runtime: Runtime, ...edits: readonly Edit[]): string[] {
  return output(runtime, both(...edits))
    .trimEnd()
    .split('\n');
}

const ENOENT = -2;
const EPERM = -1;
const ENOSYS = -38;

describe.each(RUNTIMES)('a profile (%s)', (runtime) => {
  test('every action', () => {
    const profile: Seccomp = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [
        { names: ['getsid'], action: 'SCMP_ACT_ERRNO' },
        { names: ['getpgid', 'no_such_call'], action: 'SCMP_ACT_ERRNO', errnoRet: 100 },
        { names: ['times'], action: 'SCMP_ACT_KILL' },
        { names: ['sync'], action: 'SCMP_ACT_KILL_THREAD' },
        { names: ['alarm'], action: 'SCMP_ACT_KILL_PROCESS' },
        { names: ['sysinfo'], action: 'SCMP_ACT_TRAP' },
        { names: ['sched_get_priority_max'], action: 'SCMP_ACT_TRACE', errnoRet: 7 },
        { names: ['sched_get_priority_min'], action: 'SCMP_ACT_LOG' },
      ],
    };
    const calls = [
      NR.getsid,
      NR.getpgid,
      `kill:${NR.times}`,
      `kill:${NR.sync}`,
      `kill:${NR.alarm}`,
      `trap:${NR.sysinfo}`,
      `${NR.sched_get_priority_max},1`,
      `${NR.sched_get_priority_min},1`,
      `kill:${NR.getppid}`,
    ];
    expect(lines(runtime, calling(...calls), confined(profile))).toEqual([
      '-1',
      '-100',
      'killed by 31',
      'killed by 31',
      'killed by 31',
      `trapped at ${NR.sysinfo}`,
      String(ENOSYS), // nobody traces it
      '1',
      'ended with 0',
    ]);
  });

  test('every operator, on numbers of 64 bits', () => {
    const large = 2n ** 63n;
    const operators: readonly (readonly [SeccompArgument, readonly (number | bigint)[]])[] = [
      [{ index: 0, op: 'SCMP_CMP_EQ', value: large + 5n }, [large + 5n]],
      [{ index: 0, op: 'SCMP_CMP_NE', value: large + 5n }, [5, large + 4n, large + 6n]],
      [{ index: 0, op: 'SCMP_CMP_LT', value: large + 5n }, [5, large + 4n]],
      [{ index: 0, op: 'SCMP_CMP_LE', value: large + 5n }, [5, large + 4n, large + 5n]],
      [{ index: 0, op: 'SCMP_CMP_GE', value: large + 5n }, [large + 5n, large + 6n]],
      [{ index: 0, op: 'SCMP_CMP_GT', value: large + 5n }, [large + 6n]],
      [{ index: 0, op: 'SCMP_CMP_MASKED_EQ', value: 0xff, valueTwo: 5 }, [5, large + 5n]],
    ];
    const names = ['getsid', 'getpgid', 'times', 'sysinfo', 'setfsuid', 'sync', 'alarm'] as const;
    const values = [5, large + 4n, large + 5n, large + 6n];
    const profile: Seccomp = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: operators.map(([argument], i) => ({
        names: [names[i] as string],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: 200,
        args: [argument],
      })),
    };
    const calls = operators.flatMap((_, i) =>
      values.map((value) => `${NR[names[i] as (typeof names)[number]]},${value}`),
    );
    const results = lines(runtime, calling(...calls), confined(profile));
    for (const [i, [{ op }, matching]] of operators.entries()) {
      const denied = values.filter((_, j) => results[4 * i + j] === '-200');
      expect([op, ...denied]).toEqual([op, ...matching]);
    }
  });

  test('conditions on several arguments must all hold, several on one need not', () => {
    const profile: Seccomp = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [
        {
          names: ['getsid'],
          action: 'SCMP_ACT_ERRNO',
          args: [
            { index: 1, op: 'SCMP_CMP_EQ', value: 11 },
            { index: 5, op: 'SCMP_CMP_EQ', value: 55 },
          ],
        },
        {
          names: ['getpgid'],
          action: 'SCMP_ACT_ERRNO',
          args: [
            { index: 1, op: 'SCMP_CMP_EQ', value: 11 },
            { index: 1, op: 'SCMP_CMP_EQ', value: 12 },
          ],
        },
        { names: ['setfsuid'], action: 'SCMP_ACT_ERRNO', errnoRet: 200, args: [] },
      ],
    };
    const calls = [
      `${NR.getsid},0,11,0,0,0,55`,
      `${NR.getsid},0,11`,
      `${NR.getsid},0,0,0,0,0,55`,
      `${NR.getpgid},0,11`,
      `${NR.getpgid},0,12`,
      `${NR.getpgid},0,13`,
      `${NR.setfsuid},0`,
    ];
    const denied = lines(runtime, calling(...calls), confined(profile)).map(
      (result) => Number(result) < 0,
    );
    expect(denied).toEqual([true, false, false, true, true, false, true]);
  });

  test('32-bit calls follow it when it names their architecture, and kill otherwise', () => {
    const profile: Seccomp = {
      defaultAction: 'SCMP_ACT_ALLOW',
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
      syscalls: [{ names: ['getppid', 'waitpid'], action: 'SCMP_ACT_ERRNO', errnoRet: 99 }],
    };
    const calls = [NR.getppid, 'i386:64', 'i386:20', 'i386:7', 'kill:i386:20'];
    const [own, other, allowed, only32, alive] = lines(
      runtime,
      calling(...calls),
      confined(profile),
    );
    expect([own, other, only32, alive]).toEqual(['-99', '-99', '-99', 'ended with 0']);
    expect(Number(allowed)).toBeGreaterThan(0);
    const { architectures: _, ...native } = profile;
    const killed = lines(runtime, calling(NR.getppid, 'kill:i386:20'), confined(native));
    expect(killed).toEqual(['-99', 'killed by 31']);
  });

  test('calls newer than its newest are not implemented, older ones not permitted', () => {
    const profile: Seccomp = {
      defaultAction: 'SCMP_ACT_ERRNO',
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
      // The newest is faccessat2, number 439.
      syscalls: [{ names: ALLOWED, action: 'SCMP_ACT_ALLOW' }],
    };
    const x32 = 0x40000000;
    const calls = [
      NR.fsopen,
      NR.process_madvise,
      NR.beyond,
      'i386:83',
      'i386:440',
      `${x32 + NR.beyond}`,
    ];
    expect(lines(runtime, calling(...calls), confined(profile)).map(Number)).toEqual([
      EPERM,
      ENOSYS,
      ENOSYS,
      EPERM,
      ENOSYS,
      ENOSYS,
    ]);
    const other = { ...profile, defaultErrnoRet: -ENOENT };
    expect(
      lines(runtime, calling(NR.fsopen, NR.process_madvise), confined(other)).map(Number),
    ).toEqual([ENOENT, ENOSYS]);
  });
});

/** What the program that makes the calls needs for itself. */
const ALLOWED = [
  'access',
  'arch_prctl',
  'brk',
  'capset',
  'chdir',
  'close',
  'close_range',
  'execve',
  'exit',
  'exit_group',
  'faccessat2',
  'fcntl',
  'fstat',
  'futex',
  'getcwd',
  'getdents64',
  'getpid',
  'getppid',
  'getrandom',
  'gettid',
  'ioctl',
  'lseek',
  'mmap',
  'mprotect',
  'munmap',
  'newfstatat',
  'openat',
  'openat2',
  'prctl',
  'prlimit64',
  'pread64',
  'read',
  'readlinkat',
  'readlink',
  'rseq',
  'rt_sigaction',
  'rt_sigprocmask',
  'rt_sigreturn',
  'sched_getaffinity',
  'sched_yield',
  'set_robust_list',
  'set_tid_address',
  'setgid',
  'setgroups',
  'setresgid',
  'setresuid',
  'setuid',
  'sigaltstack',
  'stat',
  'tgkill',
  'uname',
  'write',
  'epoll_ctl',
  'epoll_pwait',
  'nanosleep',
  'clone',
  'fstatfs',
  'getuid',
  'geteuid',
  'getgid',
  'getegid',
  'getpeername',
  'dup3',
  'capget',
  'umask',
  'epoll_create1',
  'eventfd2',
  'pipe2',
  'madvise',
  'fchown',
  'statx',
  'seccomp',
];

describe.each(ENGINES)('init needs next to nothing (%s)', (engine) => {
  const cases = [0, 1000].flatMap((uid) => [true, false].map((gains) => [uid, gains] as const));
  test.each(cases)('of user %i, privileges can be gained: %s', (uid, gains) => {
    const profile: Seccomp = {
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: -EPERM,
      syscalls: [{ names: ['read', 'execve', 'write', 'exit_group'], action: 'SCMP_ACT_ALLOW' }],
    };
    const edits = [executing('/tmp/small'), confined(profile), asUser(uid), gaining(gains)];
    expect(lines(engine, ...edits)).toEqual(['small']);
  });

  test.each([true, false])('and waits with no privilege more; can be gained: %s', (gains) => {
    const id = newId();
    const edit = both(executing('/tmp/small'), confined({ defaultAction: 'SCMP_ACT_ALLOW' }));
    const bundle = bundleOf(both(edit, asUser(1000), gaining(gains)));
    const options = { engine } as const;
    expect(scow(['create', '--bundle', bundle, id], options)).toMatchObject({ stderr: '' });
    const { pid } = JSON.parse(scow(['state', id], options).stdout);
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    // CAP_AUDIT_WRITE, CAP_KILL and CAP_NET_BIND_SERVICE
    expect(status).toMatch(/^CapPrm:\t0000000020000420\nCapEff:\t0000000020000420$/m);
    expect(status).toMatch(/^Seccomp:\t2\nSeccomp_filters:\t1$/m);
  });

  test('and says what it was that the profile forbade', () => {
    const without = (name: string, action: 'SCMP_ACT_ERRNO' | 'SCMP_ACT_KILL') =>
      run(
        engine,
        both(
          executing('/tmp/small'),
          gaining(true),
          confined({
            defaultAction: 'SCMP_ACT_ALLOW',
            syscalls: [
              { names: [name], action },
              // Then init can't tell it, nor end as it wants to.
              { names: ['sendmsg', 'exit_group'], action: 'SCMP_ACT_ERRNO' },
            ],
          }),
        ),
      ).stderr;
    expect(without('read', 'SCMP_ACT_ERRNO')).toBe(
      'scow: cannot wait for scow start (read): operation not permitted (EPERM)\n',
    );
    expect(without('read', 'SCMP_ACT_KILL')).toBe(
      'scow: init was killed by SIGSYS while it was to wait for scow start\n',
    );
    expect(without('capset', 'SCMP_ACT_KILL')).toBe(
      'scow: init was killed by SIGSYS while it was to give up CAP_SYS_ADMIN after loading the seccomp filter  [/process/capabilities]\n',
    );
    expect(without('execve', 'SCMP_ACT_ERRNO')).toBe(
      'scow: cannot execute "/tmp/small": operation not permitted (EPERM)  [/process/args/0]\n',
    );
  });
});
