import { mountOptionNames } from '../../../runtime/plan/mount-options.ts';
import { callsOf, minimal, planOf, show } from '../../helpers/plans.ts';

/** The calls that a mount leads to, without those that find its destination. */
function mount(type: string, options: string[], source = '/srv/data'): string[] {
  const { steps } = planOf(minimal({ mounts: [{ destination: '/data', type, source, options }] }));
  return callsOf(steps.filter(({ pointer }) => /^\/mounts\/0(\/|$)/.test(pointer)))
    .filter(({ name }) => !['openat2', 'mkdirat', 'mknodat'].includes(name))
    .map(show);
}

/** What a mount of a filesystem gets: attributes of the mount, options of the filesystem. */
function filesystem(...options: string[]) {
  const calls = mount('ramfs', options, 'none');
  const attributes = calls.flatMap(
    (text) => /^fsmount\(filesystem, 1, (.*)\)$/.exec(text)?.[1] ?? [],
  );
  const set = calls.flatMap((text) => /^fsconfig\(filesystem, 1, (.*), 0\)$/.exec(text)?.[1] ?? []);
  const flag = calls.flatMap(
    (text) => /^fsconfig\(filesystem, 0, (.*), 0, 0\)$/.exec(text)?.[1] ?? [],
  );
  return {
    attributes: attributes[0]?.replaceAll('MOUNT_ATTR_', ''),
    options: [...set.filter((text) => text !== '"source", "none"'), ...flag],
    later: calls.filter((text) => text.startsWith('mount_setattr')).map(short),
  };
}

/** What a bind mount gets: `where {set, clear, propagation}` of each change. */
function bind(...options: string[]): string[] {
  return mount('none', ['bind', ...options])
    .filter((text) => text.startsWith('mount_setattr'))
    .map(short);
}

function short(setattr: string): string {
  const [, where, change] =
    /^mount_setattr\(.*?, "", (\S+), \{(.*), 0\}, 32\)$/.exec(setattr) ?? [];
  if (where === undefined || change === undefined) throw new Error(setattr);
  const scope = where === 'AT_EMPTY_PATH' ? 'own' : 'all';
  return `${scope} {${change.replaceAll('MOUNT_ATTR_', '').replaceAll('MS_', '')}}`;
}

const TIMES = ['RELATIME', 'NOATIME', 'STRICTATIME', 'NODIRATIME'];

/** What the options ask for, and that the rest is cleared, as by mount(2). */
function whole(change: string): string {
  const [, set = '', clear = ''] = /^own \{(.*), (.*), 0\}$/.exec(change) ?? [];
  const wanted = set.split('|');
  const times = wanted.some((name) => TIMES.includes(name)) ? ['ATIME', 'NODIRATIME'] : [];
  const rest = ['RDONLY', 'NOSUID', 'NODEV', 'NOEXEC', 'NOSYMFOLLOW', ...times];
  const cleared = [...clear.split('|'), ...rest.filter((name) => !wanted.includes(name))];
  return `own {${set}, ${[...new Set(cleared)].filter((name) => name !== '0').join('|')}, 0}`;
}

/** A copy of a mount of the host is no peer of it, unless it is told to be. */
const SLAVE = 'all {0, 0, SLAVE}';

const ATTRIBUTES: [option: string, filesystem: string, bind: string][] = [
  ['ro', 'RDONLY', 'own {RDONLY, 0, 0}'],
  ['rw', '0', 'own {0, RDONLY, 0}'],
  ['nosuid', 'NOSUID', 'own {NOSUID, 0, 0}'],
  ['suid', '0', 'own {0, NOSUID, 0}'],
  ['nodev', 'NODEV', 'own {NODEV, 0, 0}'],
  ['dev', '0', 'own {0, NODEV, 0}'],
  ['noexec', 'NOEXEC', 'own {NOEXEC, 0, 0}'],
  ['exec', '0', 'own {0, NOEXEC, 0}'],
  ['nodiratime', 'NODIRATIME', 'own {NODIRATIME, 0, 0}'],
  ['diratime', '0', 'own {0, NODIRATIME, 0}'],
  ['nosymfollow', 'NOSYMFOLLOW', 'own {NOSYMFOLLOW, 0, 0}'],
  ['symfollow', '0', 'own {0, NOSYMFOLLOW, 0}'],
  ['noatime', 'NOATIME', 'own {NOATIME, ATIME, 0}'],
  ['atime', 'RELATIME', 'own {RELATIME, ATIME, 0}'],
  ['relatime', 'RELATIME', 'own {RELATIME, ATIME, 0}'],
  ['strictatime', 'STRICTATIME', 'own {STRICTATIME, ATIME, 0}'],
  ['nostrictatime', 'RELATIME', 'own {RELATIME, ATIME, 0}'],
];

describe('options of the mount', () => {
  test.each(ATTRIBUTES)('%s of a filesystem', (option, attributes) => {
    expect(filesystem(option)).toEqual({ attributes, options: [], later: [] });
  });

  test.each(ATTRIBUTES)('%s of a bind mount', (option, _, change) => {
    expect(bind(option)).toEqual([SLAVE, whole(change)]);
  });

  test.each(ATTRIBUTES)('r%s, for all mounts below too', (option, _, change) => {
    const recursive = change.replace('own', 'all');
    expect(bind(`r${option}`)).toEqual([SLAVE, recursive]);
    expect(filesystem(`r${option}`)).toEqual({ attributes: '0', options: [], later: [recursive] });
  });

  test.each([
    [['ro', 'rw'], 'own {0, RDONLY, 0}'],
    [['rw', 'ro'], 'own {RDONLY, 0, 0}'],
    [['ro', 'rw', 'ro'], 'own {RDONLY, 0, 0}'],
    [['nosuid', 'nodev', 'suid'], 'own {NODEV, NOSUID, 0}'],
    [['noatime', 'strictatime'], 'own {STRICTATIME, ATIME, 0}'],
    [['strictatime', 'noatime'], 'own {NOATIME, ATIME, 0}'],
    [['noatime', 'relatime'], 'own {RELATIME, ATIME, 0}'],
    [['noatime', 'nodiratime', 'atime'], 'own {NODIRATIME|RELATIME, ATIME, 0}'],
    [['noexec', 'exec', 'noexec', 'ro'], 'own {NOEXEC|RDONLY, 0, 0}'],
    [['ro', 'ro'], 'own {RDONLY, 0, 0}'],
  ])('of %p the later ones count', (options, change) => {
    expect(bind(...options)).toEqual([SLAVE, whole(change)]);
  });

  test('norelatime changes nothing: relatime is what the kernel does anyway', () => {
    expect(filesystem('norelatime')).toEqual({ attributes: '0', options: [], later: [] });
    expect(filesystem('noatime', 'norelatime').attributes).toBe('NOATIME');
    expect(bind('norelatime', 'rnorelatime')).toEqual([SLAVE]);
  });

  test('of a filesystem the later ones count too', () => {
    expect(filesystem('ro', 'nosuid', 'rw').attributes).toBe('NOSUID');
    expect(filesystem('noatime', 'strictatime').attributes).toBe('STRICTATIME');
  });

  test('own and recursive ones are separate: those for all come last', () => {
    expect(bind('rro', 'rw', 'nosuid', 'rnodev')).toEqual([
      SLAVE,
      whole('own {NOSUID, RDONLY, 0}'),
      'all {RDONLY|NODEV, 0, 0}',
    ]);
  });
});

describe('options of the filesystem', () => {
  test.each([
    ['sync', '"sync"'],
    ['dirsync', '"dirsync"'],
    ['lazytime', '"lazytime"'],
    ['mand', '"mand"'],
    ['async', '"async"'],
    ['nolazytime', '"nolazytime"'],
    ['nomand', '"nomand"'],
    ['newinstance', '"newinstance"'],
    ['inode64', '"inode64"'],
    ['mode=755', '"mode", "755"'],
    ['size=64k', '"size", "64k"'],
    ['x=', '"x", ""'],
    ['context="a,b=c"', '"context", "a,b=c"'],
    ['x="a"', '"x", "\\"a\\""'],
  ])('%s', (option, parameter) => {
    expect(filesystem(option)).toEqual({ attributes: '0', options: [parameter], later: [] });
  });

  test.each(['iversion', 'noiversion', 'silent', 'loud', 'defaults'])(
    '%s is nothing that the new mount API has a name for',
    (option) => {
      expect(filesystem(option)).toEqual({ attributes: '0', options: [], later: [] });
    },
  );

  test('they keep their order, and their pointers', () => {
    const mounts = [
      { destination: '/data', type: 'tmpfs', source: 't', options: ['ro', 'size=1m', 'mode=700'] },
    ];
    const calls = callsOf(planOf(minimal({ mounts })).steps);
    const found = calls.filter(({ pointer }) => pointer.startsWith('/mounts/0/options/'));
    expect(found.map((step) => [step.pointer, show(step)])).toEqual([
      ['/mounts/0/options/1', 'fsconfig(filesystem, 1, "size", "1m", 0)'],
      ['/mounts/0/options/2', 'fsconfig(filesystem, 1, "mode", "700", 0)'],
    ]);
  });

  test('a bind mount has none: those of every filesystem are ignored, as by mount(8)', () => {
    expect(bind('sync', 'defaults', 'silent')).toEqual([SLAVE]);
  });

  test('a bind mount ignores what podman says about its volumes', () => {
    expect(bind('nocopy')).toEqual([SLAVE]);
  });

  test('a bind mount has no parameters with values: they change nothing, as in mount(2)', () => {
    expect(bind('size=1m', 'hasOwnProperty=1')).toEqual([SLAVE]);
  });

  test.each([
    ['size', /a bind mount has no option "size" {2}\[\/mounts\/0\/options\/1\]$/],
    ['nosiud', /a bind mount has no option "nosiud" \(is "nosuid" meant\?\)/],
    ['rnoexe', /a bind mount has no option "rnoexe" \(is "(r?)noexec" meant\?\)/],
    ['toString', /a bind mount has no option "toString"/],
    ['constructor', /a bind mount has no option "constructor"/],
    ['hasOwnProperty', /a bind mount has no option "hasOwnProperty"/],
  ])('a bind mount with %s is refused', (option, message) => {
    expect(() => bind(option)).toThrow(message);
  });
});

test('all options that scow understands are listed, sorted', () => {
  const names = mountOptionNames();
  expect(names).toEqual([...new Set(names)].toSorted());
  const specified = `async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand
    noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid
    nosymfollow private ratime rbind rdev rdiratime relatime remount rexec rnoatime rnodiratime
    rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared
    rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid
    symfollow sync tmpcopyup unbindable idmap ridmap`;
  const crun = 'copy-symlink src-nofollow dest-nofollow';
  expect(names).toEqual(expect.arrayContaining(`${specified} ${crun}`.split(/\s+/)));
});

describe('propagation', () => {
  test.each([
    ['private', 'own {0, 0, PRIVATE}'],
    ['slave', 'own {0, 0, SLAVE}'],
    ['unbindable', 'own {0, 0, UNBINDABLE}'],
    ['rprivate', 'all {0, 0, PRIVATE}'],
    ['rslave', 'all {0, 0, SLAVE}'],
    ['runbindable', 'all {0, 0, UNBINDABLE}'],
  ])('%s', (option, change) => {
    expect(bind(option)).toEqual([SLAVE, change]);
    expect(filesystem(option).later).toEqual([change]);
  });

  test.each([
    ['shared', 'own {0, 0, SHARED}'],
    ['rshared', 'all {0, 0, SHARED}'],
  ])('%s: the copy stays a peer of the host’s mount', (option, change) => {
    expect(bind(option)).toEqual([change]);
  });

  test('several take effect in order, after the mount is attached', () => {
    const calls = mount('none', ['rbind', 'ro', 'rprivate', 'shared']);
    expect(calls.map((text) => text.split('(')[0])).toEqual([
      'mount_setattr',
      'move_mount',
      'mount_setattr',
      'mount_setattr',
    ]);
    expect(bind('rprivate', 'shared')).toEqual(['all {0, 0, PRIVATE}', 'own {0, 0, SHARED}']);
  });
});

describe('what is mounted', () => {
  test.each([
    ['bind', 'none', ['bind'], false],
    ['rbind', 'none', ['rbind'], true],
    ['type bind', 'bind', [], false],
    ['type bind, rbind', 'bind', ['rbind'], true],
    ['another type, rbind', 'ext4', ['rbind', 'ro'], true],
    ['bind, then rbind', 'none', ['bind', 'rbind'], true],
  ])('%s is a copy of a mount of the host', (_, type, options, recursive) => {
    const mounts = [{ destination: '/data', type, source: '/srv/data', options }];
    const { descriptors } = planOf(minimal({ mounts }));
    expect(descriptors.at(-1)).toEqual({
      name: 'mount 0',
      source: { kind: 'tree', path: '/srv/data', recursive },
      pointer: '/mounts/0/source',
    });
  });

  test('a relative source counts from the bundle', () => {
    const mounts = [{ destination: '/data', type: 'bind', source: 'files/data' }];
    expect(planOf(minimal({ mounts })).descriptors.at(-1)?.source).toMatchObject({
      path: '/bundle/files/data',
    });
  });

  test('a filesystem: its type, its source, its options, created, mounted, attached', () => {
    expect(mount('overlay', ['nosuid', 'lowerdir=/a:/b'], 'overlay')).toEqual([
      'fsopen("overlay", 1)',
      'fsconfig(filesystem, 1, "source", "overlay", 0)',
      'fsconfig(filesystem, 1, "lowerdir", "/a:/b", 0)',
      'fsconfig(filesystem, 6, 0, 0, 0)',
      'fsmount(filesystem, 1, MOUNT_ATTR_NOSUID)',
      'move_mount(mount 0, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
    ]);
  });

  test('a tmpfs takes the mode of the directory that it covers, unless it names one', () => {
    const modes = (options: string[], mode?: number) => {
      const destinations = new Map([
        ['/data', { resolved: '/data', ...(mode === undefined ? {} : { mode }) }],
      ]);
      const mounts = [{ destination: '/data', type: 'tmpfs', source: 'tmpfs', options }];
      return callsOf(planOf(minimal({ mounts }), { destinations }).steps)
        .map(show)
        .flatMap((text) => /"mode", "(\d+)"/.exec(text)?.[1] ?? []);
    };
    expect(modes([], 0o1777)).toEqual(['1777']);
    expect(modes([], 0o2750)).toEqual(['2750']);
    expect(modes(['mode=700'], 0o1777)).toEqual(['700']);
    expect(modes([])).toEqual([]);
  });

  test('a read-only tmpfs on /dev becomes read-only when everything is in it', () => {
    const mounts = [
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['ro', 'nosuid'] },
    ];
    const calls = callsOf(planOf(minimal({ mounts })).steps).map(show);
    const late = calls.indexOf(
      'mount_setattr(mount 0, "", AT_EMPTY_PATH, {MOUNT_ATTR_RDONLY, 0, 0, 0}, 32)',
    );
    expect(calls).toContain('fsmount(filesystem, 1, MOUNT_ATTR_NOSUID)');
    expect(late).toBeGreaterThan(calls.findLastIndex((text) => text.startsWith('symlinkat')));
    expect(late).toBeLessThan(calls.findIndex((text) => text.startsWith('pivot_root')));
  });

  test('the cgroup hierarchy: its own mount, a copy of what it would show, or nothing', () => {
    const of = (namespaces: ('mount' | 'cgroup')[]) => {
      const config = minimal({
        mounts: [
          { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['ro'] },
        ],
        linux: { namespaces: namespaces.map((type) => ({ type })) },
      });
      return callsOf(planOf(config).steps)
        .filter(({ pointer }) => pointer.startsWith('/mounts/0'))
        .filter(({ name }) => /fsopen|fsmount|open_tree|mount_setattr|move_mount/.test(name))
        .map(({ name, args }) => `${name} ${String(args[1])}`.trim());
    };
    const own = ['fsopen 1', 'fsmount 1'];
    const copy = (path: string) => [`open_tree ${path}`, 'mount_setattr', 'mount_setattr'];
    const nothing = ['fsopen 1', 'fsmount 1'];
    const container = copy('/sys/fs/cgroup/scow/test');
    expect(of(['mount', 'cgroup'])).toEqual([...own, ...container, ...nothing, 'move_mount']);
    expect(of(['mount'])).toEqual([...own, ...copy('/sys/fs/cgroup'), ...nothing, 'move_mount']);
  });
});
