import type { RuntimeConfig } from '../../schemas/runtime-config.ts';

/** A valid configuration in which every property of the runtime specification 1.3 occurs. */
export function fullConfig(): RuntimeConfig {
  const hook = () => ({ path: '/usr/bin/hook', args: ['hook', 'now'], env: ['A=b'], timeout: 5 });
  return {
    ociVersion: '1.3.0',
    root: { path: 'rootfs', readonly: true },
    process: PROCESS,
    hostname: 'ferry',
    domainname: 'harbour.example',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      {
        destination: '/data',
        type: 'none',
        source: '/srv/data',
        options: ['rbind', 'ro', 'idmap'],
        uidMappings: [{ containerID: 0, hostID: 1000, size: 10 }],
        gidMappings: [{ containerID: 0, hostID: 1000, size: 10 }],
      },
    ],
    hooks: {
      prestart: [hook()],
      createRuntime: [hook()],
      createContainer: [hook()],
      startContainer: [hook()],
      poststart: [hook()],
      poststop: [hook()],
    },
    annotations: { 'org.example.purpose': 'test', 'org.example.empty': '' },
    linux: LINUX,
  };
}

const PROCESS: NonNullable<RuntimeConfig['process']> = {
  terminal: true,
  consoleSize: { height: 25, width: 80 },
  user: { uid: 1, gid: 2, umask: 18, additionalGids: [3, 65535] },
  args: ['sh', '-c', 'true'],
  env: ['PATH=/bin', 'EMPTY=', 'LINES=a\nb'],
  cwd: '/',
  rlimits: [
    { type: 'RLIMIT_NOFILE', soft: 1024, hard: 4096 },
    { type: 'RLIMIT_CORE', soft: 0, hard: 18446744073709551615n },
  ],
  apparmorProfile: 'unconfined',
  capabilities: {
    effective: ['CAP_CHOWN'],
    bounding: ['CAP_CHOWN', 'CAP_CHECKPOINT_RESTORE'],
    inheritable: [],
    permitted: ['CAP_CHOWN'],
    ambient: [],
  },
  noNewPrivileges: true,
  oomScoreAdj: -1000,
  scheduler: {
    policy: 'SCHED_DEADLINE',
    nice: -20,
    priority: 0,
    flags: ['SCHED_FLAG_RESET_ON_FORK'],
    runtime: 1000000,
    deadline: 2000000,
    period: 3000000,
  },
  selinuxLabel: 'system_u:system_r:container_t:s0',
  ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 7 },
  execCPUAffinity: { initial: '7', final: '0-3,7' },
};

const throttle = () => [{ major: 8, minor: 0, rate: 1048576 }];

const RESOURCES: NonNullable<NonNullable<RuntimeConfig['linux']>['resources']> = {
  devices: [
    { allow: false, access: 'rwm' },
    { allow: true, type: 'c', major: 1, minor: 3, access: 'rw' },
    { allow: true, type: 'b', major: -1, minor: -1, access: 'm' },
  ],
  memory: {
    limit: 536870912,
    reservation: 268435456,
    swap: -1,
    kernel: -1,
    kernelTCP: 9223372036854775807n,
    swappiness: 60,
    disableOOMKiller: false,
    useHierarchy: true,
    checkBeforeUpdate: true,
  },
  cpu: {
    shares: 1024,
    quota: 100000,
    burst: 50000,
    period: 100000,
    realtimeRuntime: 950000,
    realtimePeriod: 1000000,
    cpus: '0-3,7',
    mems: '0',
    idle: 0,
  },
  pids: { limit: -1 },
  blockIO: {
    weight: 500,
    leafWeight: 300,
    weightDevice: [{ major: 8, minor: 0, weight: 400, leafWeight: 200 }],
    throttleReadBpsDevice: throttle(),
    throttleWriteBpsDevice: throttle(),
    throttleReadIOPSDevice: throttle(),
    throttleWriteIOPSDevice: throttle(),
  },
  hugepageLimits: [{ pageSize: '2MB', limit: 209715200 }],
  network: { classID: 1048577, priorities: [{ name: 'eth0', priority: 500 }] },
  rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10000 } },
  unified: { 'memory.high': '1073741824', 'hugetlb.1GB.max': 'max' },
};

const LINUX: NonNullable<RuntimeConfig['linux']> = {
  namespaces: [
    { type: 'pid' },
    { type: 'network', path: '/run/netns/blue' },
    { type: 'mount' },
    { type: 'ipc' },
    { type: 'uts' },
    { type: 'user' },
    { type: 'cgroup' },
    { type: 'time' },
  ],
  uidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
  gidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
  timeOffsets: {
    monotonic: { secs: 172800, nanosecs: 0 },
    boottime: { secs: -604800, nanosecs: 999999999 },
  },
  devices: [
    { type: 'c', path: '/dev/fuse', major: 10, minor: 229, fileMode: 438, uid: 0, gid: 0 },
    { type: 'p', path: '/run/pipe' },
  ],
  netDevices: { eth1: { name: 'inside%d' }, eth2: {} },
  cgroupsPath: '/scow/test',
  resources: RESOURCES,
  intelRdt: {
    closID: 'guaranteed',
    schemata: ['L3:0=7f0;1=1f'],
    l3CacheSchema: 'L3:0=ff',
    memBwSchema: 'MB:0=20;1=70',
    enableMonitoring: true,
  },
  memoryPolicy: { mode: 'MPOL_INTERLEAVE', nodes: '0-1', flags: ['MPOL_F_STATIC_NODES'] },
  sysctl: { 'net.ipv4.ip_forward': '1', 'kernel/shmmax': '1024' },
  seccomp: {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 38,
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_SHEB'],
    flags: ['SECCOMP_FILTER_FLAG_LOG'],
    listenerPath: '/run/agent.sock',
    listenerMetadata: 'hello',
    syscalls: [
      { names: ['mount'], action: 'SCMP_ACT_NOTIFY' },
      {
        names: ['clone', 'unshare'],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: 1,
        args: [
          {
            index: 0,
            value: 18446744073709551615n,
            valueTwo: 9007199254740993n,
            op: 'SCMP_CMP_MASKED_EQ',
          },
        ],
      },
    ],
  },
  rootfsPropagation: 'rslave',
  maskedPaths: ['/proc/kcore'],
  readonlyPaths: ['/proc/sys'],
  mountLabel: 'system_u:object_r:container_file_t:s0',
  personality: { domain: 'LINUX32', flags: [] },
};
