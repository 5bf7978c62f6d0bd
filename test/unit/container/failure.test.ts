import { constants } from 'node:os';
import { describeDeath, describeFailure } from '../../../runtime/container/failure.ts';
import { call, type Step } from '../../../runtime/plan/step.ts';
import { flatten } from '../../../runtime/plan/walk.ts';
import type { RuntimeConfig } from '../../../schemas/runtime-config.ts';
import { minimal, planOf, processOf } from '../../helpers/plans.ts';

const { ENOENT, EACCES, EPERM, EINVAL, ENOTDIR, EBUSY, ELOOP, ENODEV } = constants.errno;

/** What is said when a step of a configuration's plan fails. */
function failing(config: RuntimeConfig, errno: number, isIt: (step: Step) => boolean): string {
  const step = flatten(planOf(config).steps).find(isIt);
  if (step === undefined) throw new Error('the plan has no such step');
  return describeFailure(step, errno, config);
}

const named =
  (name: string, pointer?: string) =>
  (step: Step): boolean =>
    step.kind === 'call' &&
    step.name === name &&
    (pointer === undefined || step.pointer === pointer);

const tmpfs = { destination: '/t', type: 'tmpfs', source: 'x', options: ['ro', 'size=64x'] };

describe('a step that failed: what could not be done, by which call, why, for which field', () => {
  test.each<[RuntimeConfig, number, (step: Step) => boolean, string]>([
    [
      minimal({ mounts: [tmpfs] }),
      EINVAL,
      named('fsconfig', '/mounts/0/options/1'),
      'cannot set the option size=64x of tmpfs on /t (fsconfig): invalid argument (EINVAL)  [/mounts/0/options/1]',
    ],
    [
      minimal({ mounts: [{ ...tmpfs, type: 'nosuchfs' }] }),
      ENODEV,
      named('fsopen', '/mounts/0/type'),
      'cannot use the filesystem nosuchfs (fsopen): no such device (ENODEV)  [/mounts/0/type]',
    ],
    [
      minimal({ mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }] }),
      ELOOP,
      named('openat2', '/mounts/0/destination'),
      'cannot open the mount point /proc (openat2): too many levels of symbolic links (ELOOP)  [/mounts/0/destination]',
    ],
    [
      minimal({ mounts: [tmpfs] }),
      EBUSY,
      named('move_mount', '/mounts/0'),
      'cannot mount tmpfs on /t (move_mount): device or resource busy (EBUSY)  [/mounts/0]',
    ],
    [
      minimal({ hostname: 'x' }),
      EPERM,
      named('sethostname'),
      'cannot set the hostname (sethostname): operation not permitted (EPERM)  [/hostname]',
    ],
    [
      minimal({ process: processOf({ user: { uid: 0, gid: 0, additionalGids: [7] } }) }),
      EINVAL,
      named('setgroups'),
      'cannot set the additional groups (setgroups): invalid argument (EINVAL)  [/process/user/additionalGids]',
    ],
    [
      minimal({ process: processOf({ cwd: '/etc/passwd' }) }),
      ENOTDIR,
      named('chdir', '/process/cwd'),
      'cannot change to the working directory /etc/passwd (chdir): not a directory (ENOTDIR)  [/process/cwd]',
    ],
    [
      minimal({
        linux: { namespaces: [{ type: 'mount' }, { type: 'network', path: '/run/netns/a' }] },
      }),
      EINVAL,
      named('setns'),
      'cannot join the network namespace /run/netns/a (setns): invalid argument (EINVAL)  [/linux/namespaces/1/path]',
    ],
    [
      minimal({
        linux: { namespaces: [{ type: 'mount' }], sysctl: { 'kernel.shmmax': 'x' } },
      }),
      EINVAL,
      named('write'),
      'cannot set the kernel parameter kernel.shmmax to x (write): invalid argument (EINVAL)  [/linux/sysctl/kernel.shmmax]',
    ],
    [
      minimal(),
      EINVAL,
      named('pivot_root'),
      'cannot enter the root filesystem (pivot_root): invalid argument (EINVAL)  [/root/path]',
    ],
    [
      minimal(),
      EPERM,
      named('rt_sigprocmask'),
      'cannot let all signals through (rt_sigprocmask): operation not permitted (EPERM)',
    ],
    [
      minimal({ process: processOf({ terminal: true }) }),
      constants.errno.ENOTTY,
      (step) => step.kind === 'check' && step.pointer === '/process/terminal',
      'cannot open a terminal in /dev/pts: inappropriate ioctl for device (ENOTTY)  [/process/terminal]',
    ],
  ])('%#', (config, errno, isIt, sentence) => {
    // A hint may stand between the errno and the field.
    const [said = '', field] = sentence.split('  ');
    const told = failing(config, errno, isIt);
    expect(told.slice(0, said.length)).toBe(said);
    expect(told.slice(said.length)).toMatch(/^(: [^\n]+?)?( {2}\[\S+\])?$/);
    expect(told.split('  ')[1]).toBe(field);
  });

  test('an errno without a name is told by its number', () => {
    const step = call('umask', [0], { pointer: '/x', why: 'set it' });
    expect(describeFailure(step, 999, minimal())).toBe(
      'cannot set it (umask): error 999 (E999)  [/x]',
    );
  });
});

describe('the program is not there', () => {
  const missing = (args: string[], env: string[], errno: number) =>
    failing(
      minimal({ process: processOf({ args, env }) }),
      errno,
      named('faccessat2', '/process/args/0'),
    );

  test('in no directory of PATH: they are listed', () => {
    expect(missing(['htop', '-d'], ['PATH=/usr/bin:/bin:'], ENOENT)).toBe(
      'cannot find the program "htop" in PATH (/usr/bin:/bin:.): no such file or directory (ENOENT)  [/process/args/0]',
    );
  });

  test('at its path', () => {
    expect(missing(['/bin/none'], ['PATH=/bin'], ENOENT)).toBe(
      'cannot find the program "/bin/none": no such file or directory (ENOENT)  [/process/args/0]',
    );
  });

  test('or it may not be executed', () => {
    expect(missing(['/etc/passwd'], [], EACCES)).toMatch(
      /^cannot find the program "\/etc\/passwd": permission denied \(EACCES\): it is there, but .*the user of the process may.* {2}\[\/process\/args\/0\]$/,
    );
  });

  test('a name with a quote or a newline stays one line', () => {
    const sentence = missing(['a"b\nc'], ['PATH=/bin'], ENOENT);
    expect(sentence).toContain('"a\\"b\\nc"');
    expect(sentence).not.toContain('\n');
  });
});

describe('init ended without a word', () => {
  const step = call('umask', [0], { pointer: '/process/user/umask', why: 'set the umask' });

  test.each([
    [9, 'init was killed by SIGKILL while it was to set the umask  [/process/user/umask]'],
    [31, 'init was killed by SIGSYS while it was to set the umask  [/process/user/umask]'],
    [0x80 | 11, 'init was killed by SIGSEGV while it was to set the umask  [/process/user/umask]'],
    [40, 'init was killed by signal 40 while it was to set the umask  [/process/user/umask]'],
    [3 << 8, 'init ended with status 3 while it was to set the umask  [/process/user/umask]'],
  ])('with wait status %i', (status, sentence) => {
    expect(describeDeath(step, status)).toBe(sentence);
  });

  test('before its first step', () => {
    expect(describeDeath(undefined, 9)).toBe('init was killed by SIGKILL before its first step');
  });

  test('in a step of scow itself, no field is named', () => {
    const own = call('umask', [0], { pointer: '', why: 'set init up' });
    expect(describeDeath(own, 9)).toBe('init was killed by SIGKILL while it was to set init up');
  });
});
