import type { RuntimeConfig } from '../../../schemas/runtime-config.ts';
import { linux, minimal, planOf, processOf, stepsOf } from '../../helpers/plans.ts';

type Process = Parameters<typeof processOf>[0];

const process = (change: Process): RuntimeConfig => minimal({ process: processOf(change) });
const sets = (change: NonNullable<Process['capabilities']>) => process({ capabilities: change });
const tmpfs = { destination: '/t', type: 'tmpfs', source: 'x', options: ['size=1m'] };

/** A field of config.json, the JSON pointer that its steps have, and what they do. */
const FIELDS: [
  field: string,
  config: RuntimeConfig,
  pointer: string,
  steps: (string | RegExp)[],
][] = [
  ['hostname', minimal({ hostname: 'ferry' }), '/hostname', ['sethostname("ferry", 5)']],
  ['hostname in UTF-8', minimal({ hostname: 'fähre' }), '/hostname', ['sethostname("fähre", 6)']],
  ['domainname', minimal({ domainname: 'a.b' }), '/domainname', ['setdomainname("a.b", 3)']],
  [
    'root.readonly',
    minimal({ root: { path: 'rootfs', readonly: true } }),
    '/root/readonly',
    ['mount_setattr(root, "", AT_EMPTY_PATH, {MOUNT_ATTR_RDONLY, 0, 0, 0}, 32)'],
  ],
  ['mounts[0].type', minimal({ mounts: [tmpfs] }), '/mounts/0/type', ['fsopen("tmpfs", 1)']],
  [
    'mounts[0].source',
    minimal({ mounts: [tmpfs] }),
    '/mounts/0/source',
    ['fsconfig(filesystem, 1, "source", "x", 0)'],
  ],
  [
    'mounts[1].options[0]',
    minimal({ mounts: [tmpfs, tmpfs] }),
    '/mounts/1/options/0',
    ['fsconfig(filesystem, 1, "size", "1m", 0)'],
  ],
  [
    'mounts[0].destination',
    minimal({ mounts: [tmpfs] }),
    '/mounts/0/destination',
    ['first', /^openat2\(root, "t", /, /^mkdirat\(root, "t", /, /^openat2\(root, "t", /],
  ],
  [
    'process.cwd',
    process({ cwd: '/work' }),
    '/process/cwd',
    [
      'first',
      /^openat2\(root, "work", /,
      /^mkdirat\(root, "work", /,
      /^openat2\(root, "work", /,
      'chdir("/work")',
      'getcwd(&cwd, 4096)',
      'first',
      'check cwd or EBADE',
      'chdir("/work")',
      'getcwd(&cwd, 4096)',
      'check cwd or ENOENT',
    ],
  ],
  [
    'process.user.uid',
    process({ user: { uid: 7, gid: 8 } }),
    '/process/user/uid',
    ['setresuid(7, 7, 7)'],
  ],
  [
    'process.user.gid',
    process({ user: { uid: 7, gid: 8 } }),
    '/process/user/gid',
    ['setresgid(8, 8, 8)'],
  ],
  [
    'process.user.umask',
    process({ user: { uid: 0, gid: 0, umask: 0o77 } }),
    '/process/user/umask',
    ['umask(077)'],
  ],
  ['no process.user.umask', process({}), '/process/user/umask', ['umask(022)']],
  [
    'process.user.additionalGids',
    process({ user: { uid: 0, gid: 0, additionalGids: [1, 65_534] } }),
    '/process/user/additionalGids',
    ['setgroups(2, {1, 65534})'],
  ],
  [
    'process.noNewPrivileges',
    process({ noNewPrivileges: true }),
    '/process/noNewPrivileges',
    ['prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)'],
  ],
  [
    'no process.noNewPrivileges',
    process({ noNewPrivileges: false }),
    '/process/noNewPrivileges',
    [],
  ],
  [
    'process.capabilities, the other sets',
    sets({ effective: ['CAP_BPF'], permitted: ['CAP_CHOWN'], inheritable: ['CAP_KILL'] }),
    '/process/capabilities',
    [
      'prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)',
      'prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0)',
      'capset({537396514, 0}, {0, 1, 32, 128, 0, 0})',
    ],
  ],
  [
    'process.capabilities.ambient[1]',
    sets({ ambient: ['CAP_CHOWN', 'CAP_NET_RAW'] }),
    '/process/capabilities/ambient/1',
    ['prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 13, 0, 0)'],
  ],
  [
    'process.args',
    process({ args: ['/bin/echo', 'a b', ''], env: ['HOME=/'] }),
    '/process/args',
    ['execve(program, {"/bin/echo", "a b", "", 0}, {"HOME=/", 0})'],
  ],
  [
    'process.args[0]',
    process({ args: ['/bin/echo'] }),
    '/process/args/0',
    [
      'first',
      'faccessat2(-100, "/bin/echo", X_OK, AT_EACCESS)',
      'statx(-100, "/bin/echo", 0, 2047, &program statx)',
      'check program statx or EACCES',
      'program = "/bin/echo"',
    ],
  ],
  [
    'process.terminal',
    process({ terminal: true }),
    '/process/terminal',
    [
      /^openat2\(root, "dev\/pts", /,
      /^fstatfs/,
      /^check statfs or ENOTTY/,
      /TIOCSPTLCK/,
      /TIOCGPTPEER/,
      /^open_tree\(terminal, /,
      /^move_mount\(console, /,
      'dup3(terminal, 0, 0)',
      'dup3(terminal, 1, 0)',
      'dup3(terminal, 2, 0)',
      'ioctl(0, TIOCSCTTY, 0)',
    ],
  ],
  [
    'linux.namespaces, new ones',
    linux({ namespaces: [{ type: 'mount' }, { type: 'ipc' }, { type: 'cgroup' }] }),
    '/linux/namespaces',
    ['unshare(CLONE_NEWCGROUP)'],
  ],
  [
    'linux.namespaces, a new network',
    linux({ namespaces: [{ type: 'mount' }, { type: 'network' }] }),
    '/linux/namespaces',
    [
      'socket(2, 524290, 0)',
      `ioctl(loopback, ${0x8914}, {${0x6f6c}, 0, 1, 0, 0, 0, 0})`,
      'close(loopback)',
    ],
  ],
  [
    'linux.namespaces[1].path',
    linux({ namespaces: [{ type: 'mount' }, { type: 'ipc', path: '/run/ipc' }] }),
    '/linux/namespaces/1/path',
    ['setns(<ipc namespace>, CLONE_NEWIPC)'],
  ],
  [
    'linux.timeOffsets',
    linux({
      namespaces: [{ type: 'mount' }, { type: 'user' }, { type: 'pid' }, { type: 'time' }],
      timeOffsets: { boottime: { secs: 1 } },
    }),
    '/linux/timeOffsets',
    ['report time-offsets'],
  ],
  [
    'linux.uidMappings',
    linux({ namespaces: [{ type: 'mount' }, { type: 'user' }] }),
    '/linux/uidMappings',
    ['report id-maps'],
  ],
  [
    'linux.devices[0]',
    linux({
      devices: [
        { type: 'c', path: '/dev/fuse', major: 10, minor: 229, fileMode: 0o600, uid: 3, gid: 4 },
      ],
    }),
    '/linux/devices/0',
    [
      'device parent = dev',
      `mknodat(device parent, "fuse", 020600, ${(10 << 8) + 229})`,
      /fchownat\(device, "", 3, 4, AT_EMPTY_PATH\)/,
    ],
  ],
  [
    'linux.devices[0] with a large minor',
    linux({ devices: [{ type: 'b', path: '/dev/d', major: 259, minor: 70_000 }] }),
    '/linux/devices/0',
    // makedev(3): minor's low byte, 12 bits of major, the rest of minor.
    [
      `mknodat(device parent, "d", 060666, ${(70_000 & 0xff) + (259 << 8) + ((70_000 & ~0xff) << 12)})`,
    ],
  ],
  [
    'linux.devices[0], a FIFO',
    linux({ devices: [{ type: 'p', path: '/dev/pipe' }] }),
    '/linux/devices/0',
    ['mknodat(device parent, "pipe", 010666, 0)'],
  ],
  [
    'linux.maskedPaths[0]',
    linux({ maskedPaths: ['/proc/kcore'] }),
    '/linux/maskedPaths/0',
    [
      'first',
      /^openat2\(root, "proc\/kcore", \{O_PATH\|O_DIRECTORY/,
      /^open_tree\(empty, /,
      /^move_mount\(copy, "", target/,
      /^openat2\(root, "proc\/kcore", \{O_PATH,/,
      /^open_tree\(null, /,
      /^move_mount\(copy, "", target/,
    ],
  ],
  [
    'linux.readonlyPaths[1]',
    linux({ readonlyPaths: ['/a', '/proc/sys'] }),
    '/linux/readonlyPaths/1',
    [
      'first',
      /^openat2\(root, "proc\/sys", \{O_PATH,/,
      /^open_tree\(target, .*AT_RECURSIVE\)$/,
      /^mount_setattr\(copy, .*\{MOUNT_ATTR_RDONLY, 0, 0, 0\}, 32\)$/,
      /^move_mount\(copy, "", target/,
    ],
  ],
  [
    'linux.sysctl with dots',
    linux({ sysctl: { 'net.ipv4.conf.eth0/1.arp': '1' } }),
    '/linux/sysctl/net.ipv4.conf.eth0~11.arp',
    [
      /^openat2\(proc, "sys\/net\/ipv4\/conf\/eth0\.1\/arp", \{O_WRONLY\|O_CLOEXEC/,
      'write(parameter, "1", 1)',
    ],
  ],
  [
    'linux.sysctl with slashes',
    linux({ sysctl: { 'kernel/msg.max': '65536' } }),
    '/linux/sysctl/kernel~1msg.max',
    [/^openat2\(proc, "sys\/kernel\/msg\.max", /, 'write(parameter, "65536", 5)'],
  ],
  [
    'process.apparmorProfile',
    process({ apparmorProfile: 'acme' }),
    '/process/apparmorProfile',
    [
      'fstatfs(<proc of the host>, &proc statfs)',
      'check proc statfs or ENOTTY',
      'check proc statx or ENOTTY',
      'first',
      /^openat2\(<proc of the host>, "thread-self\/attr\/apparmor\/exec", /,
      /^openat2\(<proc of the host>, "thread-self\/attr\/exec", /,
      'write(attribute, "exec acme", 9)',
      'close(attribute)',
    ],
  ],
  [
    'process.selinuxLabel, of the session keyring and of the process',
    process({ selinuxLabel: 'u:r:t:s0' }),
    '/process/selinuxLabel',
    [
      'check proc statfs or ENOTTY',
      /^openat2\(<proc of the host>, "thread-self\/attr\/keycreate", /,
      'write(attribute, "u:r:t:s0", 8)',
      'close(attribute)',
      /^openat2\(<proc of the host>, "thread-self\/attr\/keycreate", /,
      'write(attribute, "", 0)',
      'check proc statfs or ENOTTY',
      /^openat2\(<proc of the host>, "thread-self\/attr\/exec", /,
      'write(attribute, "u:r:t:s0", 8)',
    ],
  ],
  [
    'linux.personality',
    linux({ personality: { domain: 'LINUX32' } }),
    '/linux/personality/domain',
    ['personality(PER_LINUX32)'],
  ],
  [
    'linux.memoryPolicy',
    linux({
      memoryPolicy: { mode: 'MPOL_BIND', nodes: '0,2-3,64', flags: ['MPOL_F_STATIC_NODES'] },
    }),
    '/linux/memoryPolicy',
    ['set_mempolicy(MPOL_BIND|MPOL_F_STATIC_NODES, {13, 1}, 129)'],
  ],
  [
    'linux.memoryPolicy without nodes',
    linux({ memoryPolicy: { mode: 'MPOL_LOCAL' } }),
    '/linux/memoryPolicy',
    ['set_mempolicy(MPOL_LOCAL, 0, 0)'],
  ],
  ...(['shared', 'slave', 'private', 'unbindable'] as const).map(
    (rootfsPropagation): (typeof FIELDS)[number] => [
      `linux.rootfsPropagation ${rootfsPropagation}`,
      linux({ rootfsPropagation }),
      '/linux/rootfsPropagation',
      [
        `mount_setattr(root, "", AT_EMPTY_PATH, {0, 0, MS_${rootfsPropagation.toUpperCase()}, 0}, 32)`,
      ],
    ],
  ),
];

test.each(FIELDS)('%s', (_, config, pointer, expected) => {
  const lines = stepsOf(config, pointer);
  // In this order, whatever else there is between them.
  let next = 0;
  for (const line of expected) {
    const matches = (text: string) => (typeof line === 'string' ? text === line : line.test(text));
    const found = lines.findIndex((text, i) => i >= next && matches(text));
    if (found < 0) throw new Error(`no ${line} after line ${next} of:\n${lines.join('\n')}`);
    next = found + 1;
  }
  if (expected.length === 0) expect(lines).toEqual([]);
});

test('a mount of config.json has the pointer of its own entry, in its order', () => {
  const mounts = [tmpfs, { ...tmpfs, destination: '/u' }, { ...tmpfs, destination: '/v' }];
  const pointers = planOf(minimal({ mounts })).steps.flatMap(
    ({ pointer }) => /^\/mounts\/(\d+)/.exec(pointer)?.[1] ?? [],
  );
  expect([...new Set(pointers)]).toEqual(['0', '1', '2']);
  expect(pointers.toSorted()).toEqual(pointers);
});

test('a path that is to be hidden twice is hidden once', () => {
  const config = linux({ maskedPaths: ['/proc/keys', '/proc//keys/', '/proc/kcore'] });
  const covers = (i: number) => stepsOf(config, `/linux/maskedPaths/${i}`).length > 0;
  expect([0, 1, 2].map(covers)).toEqual([true, false, true]);
});
