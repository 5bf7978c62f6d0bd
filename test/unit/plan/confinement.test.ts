import { resolve } from 'node:path';
import { AT, RESOLVE } from '../../../runtime/linux/constants.ts';
import type { Facts } from '../../../runtime/plan/facts.ts';
import type { CallStep, Step, Value } from '../../../runtime/plan/step.ts';
import { defaultConfig, rootlessConfig } from '../../../schemas/default-config.ts';
import type { Mount, RuntimeConfig } from '../../../schemas/runtime-config.ts';
import { callsOf, minimal, planOf, processOf, show } from '../../helpers/plans.ts';

const MOUNTS: Mount[] = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  { destination: '/../../../escape', type: 'tmpfs', source: 'tmpfs' },
  { destination: 'relative/path', type: 'tmpfs', source: 'tmpfs' },
  { destination: '/a/b/../c/./d', type: 'bind', source: '/srv', options: ['rbind', 'rro'] },
  { destination: '/file', type: 'bind', source: '/srv/file', options: ['ro', 'private'] },
  { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup' },
];

const FULL: RuntimeConfig = {
  ...defaultConfig(),
  mounts: [...(defaultConfig().mounts ?? []), ...MOUNTS],
  process: processOf({ terminal: true, cwd: '/work/here', user: { uid: 1, gid: 1 } }),
  linux: {
    ...defaultConfig().linux,
    sysctl: { 'kernel.shmmax': '1', 'net/ipv4/ip_forward': '1' },
    devices: [
      { type: 'c', path: '/dev/fuse', major: 10, minor: 229 },
      { type: 'b', path: '/run/disk/a', major: 8, minor: 0 },
      { type: 'p', path: '/run/pipe' },
    ],
    rootfsPropagation: 'rshared',
    maskedPaths: ['/proc/kcore', '/../etc/shadow', 'relative'],
    readonlyPaths: ['/proc/sys', '/../etc'],
  },
};

const USER: RuntimeConfig = {
  ...FULL,
  linux: {
    ...FULL.linux,
    namespaces: [{ type: 'user' }, { type: 'mount' }, { type: 'pid' }, { type: 'cgroup' }],
  },
};

const SOURCES = new Map([
  ['/srv', 'directory'],
  ['/srv/file', 'file'],
] as const);
const PATHS = [...(FULL.mounts ?? []).map(({ destination }) => destination), '/dev', '/work/here'];
/** No symlinks. */
const PLAIN: Facts['destinations'] = new Map(
  PATHS.map((path) => [path, { resolved: resolve('/', path) }] as const),
);
const LINKED: Facts['destinations'] = new Map([
  ...PLAIN,
  ['/dev', { resolved: '/somewhere/else/dev', mode: 0o755 }],
]);

const FACTS = { sources: SOURCES, destinations: PLAIN };

const PLANS: [name: string, config: RuntimeConfig, facts: Partial<Facts>][] = [
  ['the default configuration', defaultConfig(), {}],
  [
    'the default configuration for an ordinary user',
    rootlessConfig(defaultConfig(), 1000, 1000),
    { privileged: false },
  ],
  ['everything at once', FULL, { ...FACTS }],
  ['everything, /dev being a symlink', FULL, { ...FACTS, destinations: LINKED }],
  ['everything, nested', FULL, { ...FACTS, nested: true }],
  ['everything, in a user namespace', USER, { ...FACTS }],
  ['everything, as an ordinary user', USER, { ...FACTS, privileged: false }],
];

/** Calls until init has entered its root filesystem, and those after that. */
function halves(config: RuntimeConfig, facts: Partial<Facts>): [CallStep[], CallStep[]] {
  const calls = callsOf(planOf(config, facts).steps);
  const entered = calls.findIndex(({ name }) => name === 'pivot_root') + 2;
  expect(entered).toBeGreaterThan(1);
  return [calls.slice(0, entered), calls.slice(entered)];
}

function isDescriptor(value: Value | undefined): boolean {
  return typeof value === 'object' && ('result' in value || 'inherited' in value);
}

function text(value: Value | undefined): string {
  if (typeof value !== 'string') throw new Error(`${String(value)} is no text`);
  return value;
}

/** One component, which cannot lead anywhere else. */
const NAME = /^[^/]+$/;

describe.each(PLANS)('%s', (_, config, facts) => {
  const [inside, after] = halves(config, facts);
  const all = [...inside, ...after];

  test('no call takes a mount point as a path', () => {
    expect(all.filter(({ name }) => name === 'mount')).toEqual([]);
    for (const step of all.filter(({ name }) => name === 'move_mount')) {
      const [mount, from, target, to] = step.args;
      expect(isDescriptor(mount)).toBe(true);
      expect(from).toBe('');
      // Over the host's root, which init is about to leave; every other target is a descriptor.
      if (target === AT.FDCWD) expect(to).toBe('/');
      else {
        expect(isDescriptor(target)).toBe(true);
        expect(to).toBe('');
      }
    }
    for (const { args } of all.filter(({ name }) => name === 'mount_setattr'))
      if (args[0] === AT.FDCWD) expect(args[1]).toBe('/');
      else expect([isDescriptor(args[0]), args[1]]).toEqual([true, '']);
    for (const { args } of all.filter(({ name }) => name === 'umount2')) expect(args[0]).toBe('.');
  });

  test('paths of the root filesystem are resolved by openat2 alone, in the root', () => {
    const opens = inside.filter(({ name }) => name === 'openat2');
    expect(opens.length).toBeGreaterThan(3);
    for (const step of opens) {
      const [directory, path, how] = step.args;
      const rules = resolution(how as Value);
      expect(text(path)).not.toMatch(/^\//);
      if (show(step).startsWith('openat2(proc, "sys/')) {
        const own = RESOLVE.BENEATH + RESOLVE.NO_SYMLINKS + RESOLVE.NO_XDEV;
        expect(rules & own).toBe(own);
      } else {
        expect(directory).toEqual({ result: 'root' });
        const confined = RESOLVE.IN_ROOT + RESOLVE.NO_MAGICLINKS;
        expect(rules & confined).toBe(confined);
      }
    }
  });

  test('a procfs or sysfs is not mounted through a symlink', () => {
    const steps = planOf(config, facts).steps;
    for (const [i, { type }] of (config.mounts ?? []).entries()) {
      if (type !== 'proc' && type !== 'sysfs') continue;
      const [open] = callsOf(steps.filter(({ pointer }) => pointer === `/mounts/${i}/destination`));
      expect(resolution(open?.args[2] as Value) & RESOLVE.NO_SYMLINKS).toBe(RESOLVE.NO_SYMLINKS);
    }
  });

  test('other calls name one entry of a directory that was opened so', () => {
    const NAMED: Record<string, [directory: number, name: number]> = {
      mkdirat: [0, 1],
      mknodat: [0, 1],
      symlinkat: [1, 2],
      fchmodat2: [0, 1],
      fchownat: [0, 1],
      statx: [0, 1],
    };
    for (const { name, args } of inside) {
      const places = NAMED[name];
      if (places === undefined) continue;
      const [directory, entry] = places.map((place) => args[place]);
      expect(isDescriptor(directory)).toBe(true);
      expect(text(entry)).toMatch(/^[^/]*$/);
      expect(entry).not.toBe('..');
    }
  });

  test('openat opens devices of the host, and entries without following them', () => {
    for (const { args, why } of inside.filter(({ name }) => name === 'openat')) {
      const [directory, path, open] = args;
      const how = show({ kind: 'set', result: 'how', value: open as Value, pointer: '', why });
      if (directory === AT.FDCWD) {
        expect(text(path)).toMatch(/^\/(dev|run)\//);
        expect(how).toContain('O_PATH');
      } else {
        expect(isDescriptor(directory)).toBe(true);
        expect(text(path)).toMatch(NAME);
        expect(how).toContain('O_NOFOLLOW');
      }
    }
  });

  test('what is used of the host by its path is what the configuration names', () => {
    const sources = new Set(['/bundle/rootfs', '/srv', '/srv/file', '/sys/fs/cgroup/scow/test']);
    const known = config.mounts?.flatMap(({ source }) => source ?? []) ?? [];
    for (const { args } of inside.filter(({ name }) => name === 'open_tree'))
      if (args[0] === AT.FDCWD) expect([...sources, ...known]).toContain(args[1]);
      else expect([isDescriptor(args[0]), args[1]]).toEqual([true, '']);
  });

  test('after the root is entered no mount is made, and no file opened', () => {
    const names = new Set(after.map(({ name }) => name));
    for (const name of ['openat', 'openat2', 'open_tree', 'move_mount', 'fsopen', 'mknodat'])
      expect(names).not.toContain(name);
  });

  test('names of results are used only after they are made', () => {
    const made = new Set<string>();
    const visit = (steps: readonly Step[]): void => {
      for (const step of steps) {
        if (step.kind === 'first') step.of.forEach(visit);
        else if (step.kind === 'call') {
          for (const name of step.args.flatMap(resultsIn)) expect(made).toContain(name);
          if (step.result !== undefined) made.add(step.result);
        } else if (step.kind === 'set') made.add(step.result);
      }
    };
    visit(planOf(config, facts).steps);
  });
});

function resultsIn(value: Value): string[] {
  if (typeof value !== 'object') return [];
  if ('result' in value) return [value.result];
  return 'struct' in value ? value.fields.flatMap((field) => resultsIn(field.value)) : [];
}

/** `resolve` of a `struct open_how`. */
function resolution(how: Value): number {
  if (typeof how !== 'object' || !('struct' in how)) throw new Error('no open_how');
  const field = how.fields.find(({ name }) => name === 'resolve')?.value;
  if (typeof field !== 'object' || !('flags' in field)) throw new Error('no resolve');
  return Number(field.flags);
}

describe('missing mount points', () => {
  const missing = (resolved: string, type: 'directory' | 'file' = 'directory') => {
    const mounts = [{ destination: '/link/point', type: 'bind', source: '/srv' }];
    const facts = {
      sources: new Map([['/srv', type]]),
      destinations: new Map([['/link/point', { resolved }]]),
    };
    const { steps } = planOf(minimal({ mounts }), facts);
    return callsOf(steps.filter(({ pointer }) => pointer === '/mounts/0/destination')).map((step) =>
      show(step).replace(/, \{(O_\S*?), .*$/, ' $1'),
    );
  };

  test('are made where the symlinks of the image lead, one component at a time', () => {
    expect(missing('/real/deep/point')).toEqual([
      'openat2(root, "link/point" O_PATH|O_DIRECTORY',
      'mkdirat(root, "real", 493)',
      'openat2(root, "real" O_PATH|O_DIRECTORY',
      'mkdirat(parent, "deep", 493)',
      'openat2(root, "real/deep" O_PATH|O_DIRECTORY',
      'mkdirat(parent, "point", 493)',
      'openat2(root, "real/deep/point" O_PATH|O_DIRECTORY',
    ]);
  });

  test('for a file are empty files', () => {
    expect(missing('/point', 'file')).toEqual([
      'openat2(root, "link/point" O_PATH',
      'mknodat(root, "point", 33188, 0)',
      'openat2(root, "point" O_PATH',
    ]);
  });
});
