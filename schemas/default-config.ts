import type { CapabilityName, IdMapping, Mount, RuntimeConfig } from './runtime-config.ts';

/**
 * The version of the runtime specification that generated configurations claim. They use nothing
 * newer than 1.0.2, and crun before 1.9 refuses anything above 1.0.x: claiming no more than is
 * used keeps a bundle runnable everywhere.
 */
const GENERATED_OCI_VERSION = '1.0.2';

const CAPABILITIES: readonly CapabilityName[] = [
  'CAP_AUDIT_WRITE',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
];

const MOUNTS: readonly Mount[] = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
  },
  {
    destination: '/dev/mqueue',
    type: 'mqueue',
    source: 'mqueue',
    options: ['nosuid', 'noexec', 'nodev'],
  },
  {
    destination: '/sys',
    type: 'sysfs',
    source: 'sysfs',
    options: ['nosuid', 'noexec', 'nodev', 'ro'],
  },
  {
    destination: '/sys/fs/cgroup',
    type: 'cgroup',
    source: 'cgroup',
    options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
  },
];

const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/sys/firmware',
  '/proc/scsi',
];

const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/**
 * The configuration that `spec` writes and that image configurations are merged into: the same
 * container as `runc spec` describes on a host with cgroup v2 (since runc 1.2 without ambient
 * capabilities, which would outlive a change of user).
 */
export function defaultConfig(): RuntimeConfig {
  return {
    ociVersion: GENERATED_OCI_VERSION,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ['sh'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'],
      cwd: '/',
      capabilities: {
        bounding: CAPABILITIES,
        effective: CAPABILITIES,
        permitted: CAPABILITIES,
      },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'scow',
    mounts: MOUNTS,
    linux: {
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      namespaces: [
        { type: 'pid' },
        { type: 'network' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'mount' },
        { type: 'cgroup' },
      ],
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
    },
  };
}

/**
 * Turns a configuration into one that an ordinary user can run: a user namespace of their own
 * where they are root, the host's network, no limits, and no mount that needs more rights.
 *
 * @param base a configuration such as `defaultConfig()`
 * @param uid the user's effective user ID, which becomes 0 in the container
 * @param gid the user's effective group ID, likewise
 */
export function rootlessConfig(base: RuntimeConfig, uid: number, gid: number): RuntimeConfig {
  const own = (hostID: number): IdMapping[] => [{ containerID: 0, hostID, size: 1 }];
  return withUserNamespace(base, own(uid), own(gid));
}

/** The same for a user who may map more IDs than their own, such as those of subuid(5). */
export function withUserNamespace(
  base: RuntimeConfig,
  uidMappings: readonly IdMapping[],
  gidMappings: readonly IdMapping[],
): RuntimeConfig {
  const { resources: _, ...linux } = base.linux ?? {};
  const kept = (linux.namespaces ?? []).filter(({ type }) => type !== 'network' && type !== 'user');
  return {
    ...base,
    mounts: (base.mounts ?? []).map((mount) =>
      rootlessMount(mount, { uid: uidMappings, gid: gidMappings }),
    ),
    linux: {
      ...linux,
      namespaces: [...kept, { type: 'user' }],
      uidMappings,
      gidMappings,
    },
  };
}

function rootlessMount(
  mount: Mount,
  maps: Readonly<Record<'uid' | 'gid', readonly IdMapping[]>>,
): Mount {
  // A new sysfs wants a network namespace of one's own; the host's may be bound.
  if (mount.destination === '/sys')
    return {
      destination: '/sys',
      type: 'none',
      source: '/sys',
      options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'],
    };
  if (mount.options === undefined) return mount;
  // Who is not mapped can own no file.
  const canOwn = (option: string) => {
    const [, kind, id] = /^([ug]id)=(\d+)$/.exec(option) ?? [];
    return kind === undefined || isMapped(Number(id), maps[kind as 'uid' | 'gid']);
  };
  return { ...mount, options: mount.options.filter(canOwn) };
}

/** Whether an ID of a container is one of the host's, too. */
export function isMapped(id: number, maps: readonly IdMapping[]): boolean {
  return maps.some(({ containerID, size }) => id >= containerID && id < containerID + size);
}
