import { CLONE } from '../../../runtime/linux/constants.ts';
import { flatten } from '../../../runtime/plan/walk.ts';
import type { Namespace, RuntimeConfig } from '../../../schemas/runtime-config.ts';
import { callsOf, minimal, planOf, show } from '../../helpers/plans.ts';

/** The names of the calls that a configuration leads to, of those that are asked for. */
function namesOf(config: RuntimeConfig, facts: Parameters<typeof planOf>[1], ...among: string[]) {
  return flatten(planOf(config, facts).steps)
    .map((step) => (step.kind === 'call' ? step.name : step.kind))
    .filter((name) => among.includes(name));
}

describe('namespaces', () => {
  const AMONG = ['prctl', 'setns', 'unshare', 'setresgid', 'setresuid', 'report', 'fork', 'mount'];
  const of = (...namespaces: Namespace[]) => minimal({ linux: { namespaces } });
  /** What happens before the first mount. */
  const entering = (config: RuntimeConfig, facts: Parameters<typeof planOf>[1] = {}) => {
    const { steps, cloneFlags, descriptors } = planOf(config, facts, { noNewKeyring: true });
    const all = steps.map(show);
    const end = all.findIndex((text) => text.startsWith('mount_setattr'));
    return {
      born: cloneFlags,
      descriptors: descriptors.slice(3).filter(({ name }) => name.endsWith('namespace')),
      steps: all.slice(2, end).filter((text) => AMONG.some((name) => text.startsWith(name))),
    };
  };
  const HIDE = 'prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)';

  test('new ones: init is born in them, but makes that of its cgroup itself', () => {
    const config = of(
      ...(['pid', 'uts', 'mount', 'ipc', 'network', 'cgroup'] as const).map((type) => ({ type })),
    );
    const { NEWPID, NEWUTS, NEWNS, NEWIPC, NEWNET } = CLONE;
    expect(entering(config)).toEqual({
      born: NEWPID | NEWUTS | NEWNS | NEWIPC | NEWNET,
      descriptors: [],
      steps: [HIDE, 'unshare(CLONE_NEWCGROUP)'],
    });
  });

  test('a new one of time is entered by a fork, as kernels before 6.1 want it', () => {
    const config = of({ type: 'pid' }, { type: 'mount' }, { type: 'time' });
    const steps = [HIDE, 'unshare(CLONE_NEWPID|CLONE_NEWTIME)', 'fork'];
    expect(entering(config)).toEqual({ born: CLONE.NEWNS, descriptors: [], steps });
  });

  test('clocks are set while scow can open init’s files in /proc', () => {
    const config = of({ type: 'user' }, { type: 'mount' }, { type: 'time' });
    const timeOffsets = { monotonic: { secs: 5 } };
    const { steps } = entering({ ...config, linux: { ...config.linux, timeOffsets } });
    const at = steps.indexOf('unshare(CLONE_NEWTIME)');
    expect(steps.slice(at - 2, at + 4)).toEqual([
      'unshare(CLONE_NEWUSER)',
      'report id-maps',
      'unshare(CLONE_NEWTIME)',
      'report time-offsets',
      'setresgid(0, 0, 0)',
      'setresuid(0, 0, 0)',
    ]);
  });

  test('joined ones: by descriptors of scow, the mount namespace last', () => {
    const config = of(
      { type: 'mount', path: '/run/mnt' },
      { type: 'network', path: '/run/net' },
      { type: 'uts', path: '/run/uts' },
      { type: 'ipc' },
    );
    expect(entering(config)).toEqual({
      born: CLONE.NEWIPC,
      descriptors: [
        ['mount', 0, '/run/mnt'],
        ['network', 1, '/run/net'],
        ['uts', 2, '/run/uts'],
      ].map(([type, i, path]) => ({
        name: `${type} namespace`,
        source: { kind: 'open', path, flags: 0 },
        pointer: `/linux/namespaces/${i}/path`,
      })),
      steps: [
        HIDE,
        'setns(<uts namespace>, CLONE_NEWUTS)',
        'setns(<network namespace>, CLONE_NEWNET)',
        'setns(<mount namespace>, CLONE_NEWNS)',
      ],
    });
  });

  test('a joined PID namespace takes a fork after all others', () => {
    const { born, steps } = entering(of({ type: 'pid', path: '/p' }, { type: 'mount' }));
    expect(born).toBe(CLONE.NEWNS);
    expect(steps).toEqual([HIDE, 'setns(<pid namespace>, CLONE_NEWPID)', 'fork']);
  });

  test('an empty path means a new one', () => {
    expect(entering(of({ type: 'mount', path: '' }, { type: 'pid', path: '' }))).toMatchObject({
      born: CLONE.NEWPID | CLONE.NEWNS,
      steps: [HIDE],
    });
  });

  const ROOT = ['setresgid(0, 0, 0)', 'setresuid(0, 0, 0)'];
  const USER = of(
    { type: 'user' },
    { type: 'pid' },
    { type: 'network', path: '/run/net' },
    { type: 'mount' },
  );

  test('a new user namespace, with privileges: joins first, for only the host allows them', () => {
    expect(entering(USER, { privileged: true })).toMatchObject({
      born: 0,
      steps: [
        HIDE,
        'setns(<network namespace>, CLONE_NEWNET)',
        'unshare(CLONE_NEWUSER)',
        'report id-maps',
        ...ROOT,
        'unshare(CLONE_NEWPID|CLONE_NEWNS)',
        'fork',
      ],
    });
  });

  test('a new user namespace, without: first of all, and hidden only when its maps are written', () => {
    expect(entering(USER, { privileged: false })).toMatchObject({
      born: 0,
      steps: [
        'unshare(CLONE_NEWUSER)',
        'report id-maps',
        ...ROOT,
        HIDE,
        'setns(<network namespace>, CLONE_NEWNET)',
        'unshare(CLONE_NEWPID|CLONE_NEWNS)',
        'fork',
      ],
    });
  });

  test('a joined user namespace needs no maps', () => {
    const config = of({ type: 'user', path: '/run/user' }, { type: 'pid' }, { type: 'mount' });
    expect(entering(config, { privileged: true }).steps).toEqual([
      HIDE,
      'setns(<user namespace>, CLONE_NEWUSER)',
      ...ROOT,
      'unshare(CLONE_NEWPID|CLONE_NEWNS)',
      'fork',
    ]);
    expect(entering(config, { privileged: false }).steps).toEqual([
      'setns(<user namespace>, CLONE_NEWUSER)',
      ...ROOT,
      HIDE,
      'unshare(CLONE_NEWPID|CLONE_NEWNS)',
      'fork',
    ]);
  });

  test('without privileges init copies the mounts itself, before it leaves the host', () => {
    const config = {
      ...USER,
      mounts: [{ destination: '/data', source: '/srv', type: 'bind', options: ['rbind'] }],
    };
    const trees = (privileged: boolean) => {
      const { descriptors, steps } = planOf(config, { privileged });
      return {
        handed: descriptors.flatMap(({ name, source }) =>
          source.kind === 'tree' ? [`${name}: ${source.path}`] : [],
        ),
        copied: callsOf(steps)
          .filter(({ name }) => name === 'open_tree')
          .map(({ args }) => args[1])
          .filter((path) => path !== ''),
      };
    };
    expect(trees(true)).toEqual({ handed: ['root: /bundle/rootfs', 'mount 0: /srv'], copied: [] });
    expect(trees(false)).toEqual({ handed: [], copied: ['/srv', '/bundle/rootfs'] });
    const calls = namesOf(config, { privileged: false }, 'fork', 'open_tree', 'pivot_root');
    expect(calls.indexOf('fork')).toBe(0);
    expect(calls.lastIndexOf('open_tree')).toBeLessThan(calls.indexOf('pivot_root'));
  });

  it('without privileges IDs of mounts cannot be mapped', () => {
    const mount = { destination: '/data', source: '/srv', type: 'bind', options: ['idmap'] };
    expect(() => planOf({ ...USER, mounts: [mount] }, { privileged: false })).toThrow(
      "cannot map the IDs of the mount on /data: only the host's root may (mount_setattr(2)); leave idmap, uidMappings and gidMappings out  [/mounts/0/options/0]",
    );
  });

  test('a mount namespace must be the container’s own', () => {
    expect(() => planOf(of({ type: 'pid' }))).toThrow(
      /^a mount namespace is missing: .*\[\/linux\/namespaces\]$/,
    );
  });
});
