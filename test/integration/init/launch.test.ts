import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unifiedPath } from '../../../runtime/cgroups/hierarchy.ts';
import { CLONE, O } from '../../../runtime/linux/constants.ts';
import { Sandbox } from '../cgroups/sandbox.ts';
import { OBSERVATIONS } from './observe.ts';

type Observations = typeof OBSERVATIONS;
type Observe = <K extends keyof Observations>(
  name: K,
  ...args: Parameters<Observations[K]>
) => ReturnType<Observations[K]>;

const BUN = ['node_modules/.bin/bun', 'run', join(__dirname, 'observe-bun.ts')] as const;

const engines: Record<string, Observe> = {
  'Node.js': (name, ...args) => {
    const observe = OBSERVATIONS[name] as (...args: unknown[]) => never;
    return observe(...args);
  },
  Bun: (name, ...args) => {
    const [command, ...words] = [...BUN, name, ...args.map((arg) => JSON.stringify(arg))];
    return JSON.parse(execFileSync(command, words, { encoding: 'utf8' }));
  },
};

describe.each(Object.entries(engines))('launch under %s', (_, observe) => {
  test('the new process has what is listed, and nothing else', () => {
    const { memory, ...found } = observe('birth');
    expect(found).toEqual({
      descriptors: {
        3: 'socket',
        4: '/memfd:progress (deleted)',
        5: '/memfd:extra (deleted)',
        6: '/memfd:more (deleted)',
      },
      arguments: 'scow-init\0',
      environment: '',
      // All but SIGKILL and SIGSTOP.
      blocked: 'fffffffffffbfeff',
      caught: '0000000000000000',
      parent: true,
      threads: '1',
      pidfd: true,
      pidfdStaysHere: true,
      sameDirectory: true,
    });
    // Kilobytes: a few pages.
    expect(memory).toBeLessThan(200);
  });

  test('scow itself is as before: descriptors and signal mask', () => {
    const { before, after } = observe('afterwards');
    expect(after).toEqual(before);
  });

  test('its executable is a sealed memory file that cannot be written, now or later', () => {
    const { running, later } = observe('executable');
    expect(running).toEqual({
      path: '/memfd:scow-init (deleted)',
      // SEAL, SHRINK, GROW, WRITE and, from the kernel, EXEC.
      seals: expect.anything(),
      openForWriting: 'ETXTBSY',
      truncate: 'ETXTBSY',
    });
    expect(running.seals & 0xf).toBe(0xf);
    expect(later).toEqual({
      write: 'EPERM',
      truncate: 'EPERM',
      grow: 'EPERM',
      map: 'refused',
      same: true,
    });
  });

  test.each([
    ['O_WRONLY', O.WRONLY],
    ['O_RDWR', O.RDWR],
    ['O_WRONLY|O_TRUNC', O.WRONLY | O.TRUNC],
  ])('the process itself cannot open it with %s', (__, flags) => {
    expect(observe('ownExecutable', flags)).toBe('1 ETXTBSY');
  });

  test('it is born in the namespaces that were asked for', () => {
    expect(observe('namespaces').sort()).toEqual(['ipc', 'net', 'pid', 'pid_for_children', 'uts']);
  });

  test.each([
    [1, 3],
    [200, 3],
    [5, 40],
    [100, 100],
  ])('%i descriptors from number %i on, in the order of the list', (count, first) => {
    expect(observe('many', count, first)).toBe(true);
  });

  test('of the numbers before them only what is preserved is open', () => {
    expect(observe('preserved')).toEqual([
      'the same: /memfd:kept (deleted)',
      '0: socket',
      '1: /memfd:progress (deleted)',
    ]);
  });

  test.each([
    ['', 0],
    [' that was to be born in namespaces', CLONE.NEWUTS],
  ])('what cannot start%s leaves neither process nor descriptor', (__, namespaces) => {
    const { found, childless, descriptors } = observe('refusals', namespaces);
    expect(found).toEqual({
      garbage: expect.stringMatching(/^execveat\(.*\): exec format error \(ENOEXEC\)$/),
      empty: expect.stringMatching(/^execveat\(.*\): exec format error \(ENOEXEC\)$/),
      descriptor: expect.stringMatching(/^fcntl\(999, .*\): bad file descriptor \(EBADF\)$/),
      cgroup: expect.stringMatching(/^clone3\(.*\): bad file descriptor \(EBADF\)$/),
      unmade: 'no program',
    });
    expect(childless).toBe('ECHILD');
    expect(descriptors.after).toEqual(descriptors.before);
  });

  describe('with a cgroup', () => {
    let sandbox: Sandbox;
    beforeEach(() => {
      sandbox = new Sandbox('launch');
    });
    afterEach(() => sandbox.cleanUp());

    test('the process is born in it', () => {
      const { path } = sandbox.make('birthplace');
      const own = unifiedPath(readFileSync('/proc/self/cgroup', 'utf8'));
      const { cgroup } = observe('inCgroup', path);
      expect(cgroup).toBe(join(own, sandbox.path.split('/').at(-1) ?? '', 'birthplace'));
    });

    test('that was killed before: the process ends before its first step', () => {
      const { path } = sandbox.make('killed');
      writeFileSync(join(path, 'cgroup.kill'), '1');
      expect(observe('inCgroup', path)).toEqual({
        signal: 9,
        progress: { step: 0, errno: 0 },
      });
    });
  });
});

describe('vm.memfd_noexec', () => {
  /** Runs an observation under Bun, in a PID namespace with the setting. */
  function under(setting: string, ...prefix: string[]): ReturnType<Observations['plain']> {
    const script = 'echo "$0" > /proc/sys/vm/memfd_noexec && exec "$@"';
    const { stdout, stderr } = spawnSync(
      'unshare',
      ['--pid', '--fork', '--mount-proc', '--kill-child', 'sh', '-c', script, setting].concat(
        prefix,
        BUN,
        'plain',
      ),
      { encoding: 'utf8' },
    );
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout);
  }

  test.each(['0', '1'])('%s: a memory file, as ever', (setting) => {
    expect(under(setting)).toEqual({
      pid: true,
      file: '/memfd:scow-init (deleted)',
      writeWhileRunning: 'ETXTBSY',
      writeLater: 'done',
      status: 0,
    });
  });

  test('2: a file of a read-only file system that is mounted nowhere', () => {
    expect(under('2')).toEqual({
      pid: true,
      file: expect.stringMatching(/^\/#\d+ \(deleted\)$/),
      writeWhileRunning: 'ETXTBSY',
      writeLater: 'EROFS',
      status: 0,
    });
  });

  test('2, as an ordinary user: refused, with what to do', () => {
    const nobody = ['setpriv', '--reuid', '65534', '--clear-groups'];
    expect(under('2', ...nobody)).toEqual({
      error:
        'vm.memfd_noexec=2 forbids the memory file that init runs from, and only root can do ' +
        'without: set it to 1 (sysctl vm.memfd_noexec=1), or run scow as root',
    });
    expect(under('1', ...nobody)).toMatchObject({ pid: true, status: 0 });
  });
});
