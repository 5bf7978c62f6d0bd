import { validateRuntimeConfig } from '../../../schemas/validate.ts';
import { fullConfig } from '../../helpers/full-config.ts';
import { withValue } from '../../helpers/json-edit.ts';

type Edit = readonly [pointer: string, value: unknown];

const NO_NAMESPACES: Edit = ['/linux/namespaces', []];
const SYSCTL =
  'a kernel parameter that namespaces have for themselves (net.*, fs.mqueue.*, kernel.sem, kernel.shm*, kernel.msgmax, kernel.msgmnb, kernel.msgmni, kernel.domainname, user.max_*)';
const NOT_OVERLAPPING = 'a range that no other mapping of the array overlaps';

function violationsAfter(...edits: readonly Edit[]) {
  const config = edits.reduce<unknown>((at, edit) => withValue(at, ...edit), fullConfig());
  return validateRuntimeConfig(config);
}

test.each<[rule: string, edits: readonly Edit[], pointer: string, found: string, allowed: string]>([
  [
    'a namespace type twice',
    [['/linux/namespaces/2/type', 'pid']],
    '/linux/namespaces/2/type',
    '"pid" once more',
    'each type once',
  ],
  [
    'a limit twice',
    [['/process/rlimits/1/type', 'RLIMIT_NOFILE']],
    '/process/rlimits/1/type',
    '"RLIMIT_NOFILE" once more',
    'each type once',
  ],
  [
    'a soft limit above the hard one',
    [['/process/rlimits/0/soft', 18446744073709551615n]],
    '/process/rlimits/0/soft',
    '18446744073709551615',
    'an integer up to the hard limit, 4096',
  ],
  [
    'an ID-mapped mount without a map',
    [
      ['/mounts/1/uidMappings', undefined],
      ['/mounts/1/gidMappings', undefined],
      ['/linux', {}],
      ['/hostname', ''],
      ['/domainname', undefined],
    ],
    '/mounts/1/options/2',
    '"idmap"',
    'this option only with uidMappings and gidMappings, or with a user namespace',
  ],
  [
    'overlapping mappings',
    [['/linux/uidMappings/1', { containerID: 65535, hostID: 200000, size: 1 }]],
    '/linux/uidMappings/1/containerID',
    '65535 to 65535',
    NOT_OVERLAPPING,
  ],
  [
    'overlapping mappings, in any order',
    [['/linux/gidMappings/1', { containerID: 70000, hostID: 99999, size: 2 }]],
    '/linux/gidMappings/0/hostID',
    '100000 to 165535',
    NOT_OVERLAPPING,
  ],
  [
    'overlapping mappings of a mount',
    [['/mounts/1/uidMappings/1', { containerID: 9, hostID: 5, size: 1 }]],
    '/mounts/1/uidMappings/1/containerID',
    '9 to 9',
    NOT_OVERLAPPING,
  ],
  [
    'a mapping beyond the last ID',
    [['/linux/uidMappings/0/size', 4294967295]],
    '/linux/uidMappings/0/hostID',
    '100000 to 4295067294',
    'a range that ends at 4294967294 at the most',
  ],
  [
    'more mappings than the kernel takes',
    [
      [
        '/linux/uidMappings',
        Array.from({ length: 341 }, (_, at) => ({ containerID: at, hostID: at, size: 1 })),
      ],
    ],
    '/linux/uidMappings',
    '341 mappings',
    'at most 340 mappings',
  ],
  [
    'a user that is not mapped',
    [['/process/user/uid', 65536]],
    '/process/user/uid',
    '65536',
    'an ID of the container that /linux/uidMappings maps',
  ],
  [
    'a supplementary group that is not mapped',
    [['/process/user/additionalGids/1', 70000]],
    '/process/user/additionalGids/1',
    '70000',
    'an ID of the container that /linux/gidMappings maps',
  ],
  [
    'clock offsets in a joined time namespace',
    [['/linux/namespaces/7/path', '/proc/1/ns/time']],
    '/linux/timeOffsets',
    'an object',
    'offsets only with a new namespace of type "time" in /linux/namespaces',
  ],
  [
    'a kernel parameter of the host',
    [['/linux/sysctl/kernel.core_pattern', 'x']],
    '/linux/sysctl/kernel.core_pattern',
    'the name "kernel.core_pattern"',
    SYSCTL,
  ],
  [
    'a kernel parameter of the host, by dots in slashes',
    [['/linux/sysctl/net~1..~1kernel~1core_pattern', 'x']],
    '/linux/sysctl/net~1..~1kernel~1core_pattern',
    'the name "net/../kernel/core_pattern"',
    SYSCTL,
  ],
  [
    'a kernel parameter of the host, by slashes in dots',
    [['/linux/sysctl/net.~1~1.kernel.core_pattern', 'x']],
    '/linux/sysctl/net.~1~1.kernel.core_pattern',
    'the name "net.//.kernel.core_pattern"',
    SYSCTL,
  ],
  [
    'the hostname as a kernel parameter',
    [['/linux/sysctl/kernel.hostname', 'x']],
    '/linux/sysctl/kernel.hostname',
    'the name "kernel.hostname"',
    'nothing: /hostname sets it',
  ],
  [
    'a kernel parameter without its namespace',
    [['/linux/namespaces/3', undefined]],
    '/linux/sysctl/kernel~1shmmax',
    'the name "kernel/shmmax"',
    'this parameter only with a namespace of type "ipc" in /linux/namespaces',
  ],
  [
    'an errno for an action that has none',
    [['/linux/seccomp/syscalls/0/errnoRet', 1]],
    '/linux/seccomp/syscalls/0/errnoRet',
    '1',
    'nothing beside SCMP_ACT_NOTIFY: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have an errno',
  ],
  [
    'a default errno for an action that has none',
    [['/linux/seccomp/defaultAction', 'SCMP_ACT_ALLOW']],
    '/linux/seccomp/defaultErrnoRet',
    '38',
    'nothing beside SCMP_ACT_ALLOW: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have an errno',
  ],
  [
    'a notification for every call',
    [
      ['/linux/seccomp/defaultAction', 'SCMP_ACT_NOTIFY'],
      ['/linux/seccomp/defaultErrnoRet', undefined],
    ],
    '/linux/seccomp/defaultAction',
    '"SCMP_ACT_NOTIFY"',
    'any action but SCMP_ACT_NOTIFY, which would stop the container before it starts',
  ],
  [
    'a notification for nobody',
    [
      ['/linux/seccomp/listenerPath', undefined],
      ['/linux/seccomp/listenerMetadata', undefined],
    ],
    '/linux/seccomp/listenerPath',
    'missing',
    'the absolute path of a Unix socket, required by SCMP_ACT_NOTIFY',
  ],
  [
    'a relative path to whom notifications go',
    [['/linux/seccomp/listenerPath', 'agent.sock']],
    '/linux/seccomp/listenerPath',
    '"agent.sock"',
    'the absolute path of a Unix socket, required by SCMP_ACT_NOTIFY',
  ],
  [
    'a notification of what runc cannot notify',
    [['/linux/seccomp/syscalls/0/names/0', 'write']],
    '/linux/seccomp/syscalls/0/names/0',
    '"write"',
    'another name: SCMP_ACT_NOTIFY cannot be used for the write syscall',
  ],
  [
    'a flag of notifications without any',
    [
      ['/linux/seccomp/flags', ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV']],
      ['/linux/seccomp/syscalls/0/action', 'SCMP_ACT_LOG'],
    ],
    '/linux/seccomp/flags/0',
    '"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"',
    'this flag only beside a system call with SCMP_ACT_NOTIFY',
  ],
  [
    'a second value for an operator that takes one',
    [['/linux/seccomp/syscalls/0/args', [{ index: 0, value: 1, valueTwo: 2, op: 'SCMP_CMP_EQ' }]]],
    '/linux/seccomp/syscalls/0/args/0/valueTwo',
    '2',
    'nothing beside SCMP_CMP_EQ: only SCMP_CMP_MASKED_EQ has a second value',
  ],
  [
    'a memory policy with nodes that it does not take',
    [['/linux/memoryPolicy/mode', 'MPOL_LOCAL']],
    '/linux/memoryPolicy/nodes',
    '"0-1"',
    'nothing beside MPOL_LOCAL',
  ],
  [
    'a memory policy without the nodes that it needs',
    [['/linux/memoryPolicy/nodes', undefined]],
    '/linux/memoryPolicy/nodes',
    'missing',
    'a list of nodes, for MPOL_INTERLEAVE',
  ],
  [
    'a new user namespace without users',
    [
      ['/linux/uidMappings', undefined],
      ['/process/user/uid', 0],
    ],
    '/linux/uidMappings',
    'missing',
    'at least one mapping, like the other IDs of the user namespace',
  ],
  [
    'a new user namespace without groups',
    [['/linux/gidMappings', []]],
    '/linux/gidMappings',
    'an empty array',
    'at least one mapping, like the other IDs of the user namespace',
  ],
  [
    'a hostname that is too long in UTF-8',
    [['/hostname', 'ä'.repeat(33)]],
    '/hostname',
    JSON.stringify('ä'.repeat(33)),
    'a string of at most 64 bytes in UTF-8',
  ],
  [
    'a domain name that is too long in UTF-8',
    [['/domainname', 'ä'.repeat(33)]],
    '/domainname',
    JSON.stringify('ä'.repeat(33)),
    'a string of at most 64 bytes in UTF-8',
  ],
  [
    'two devices at one path',
    [['/linux/devices/1', { type: 'c', path: '/dev/fuse', major: 1, minor: 3 }]],
    '/linux/devices/1/path',
    '"/dev/fuse" once more',
    'each path once, or always for the same device',
  ],
  [
    'a device without a name',
    [['/linux/devices/0/path', '/dev/fuse/']],
    '/linux/devices/0/path',
    '"/dev/fuse/"',
    'an absolute path that ends with the name of the device',
  ],
  [
    'a device in the place of a directory',
    [['/linux/devices/0/path', '/dev/..']],
    '/linux/devices/0/path',
    '"/dev/.."',
    'an absolute path that ends with the name of the device',
  ],
  [
    'a mode of a device of another type',
    [['/linux/devices/0/fileMode', 0o60666]],
    '/linux/devices/0/fileMode',
    '25014',
    'an integer up to 4095 (07777; the file has it in decimal)',
  ],
  [
    'two network devices of one name',
    [['/linux/netDevices/eth1/name', 'eth2']],
    '/linux/netDevices/eth1/name',
    '"eth2" once more',
    'each name once',
  ],
  [
    'a name of a network device with two numbers',
    [['/linux/netDevices/eth1/name', 'a%d%d']],
    '/linux/netDevices/eth1/name',
    '"a%d%d"',
    'a name with at most one "%d" and no other "%"',
  ],
  [
    'a static priority of a policy that has none',
    [['/process/scheduler', { policy: 'SCHED_BATCH', priority: 1 }]],
    '/process/scheduler/priority',
    '1',
    'nothing beside SCHED_BATCH, or 0',
  ],
  [
    'a real-time policy without a priority',
    [['/process/scheduler', { policy: 'SCHED_RR' }]],
    '/process/scheduler/priority',
    'missing',
    'an integer from 1 to 99, for SCHED_RR',
  ],
  [
    'a time for a policy without deadlines',
    [['/process/scheduler', { policy: 'SCHED_OTHER', period: 5 }]],
    '/process/scheduler/period',
    '5',
    'nothing beside SCHED_OTHER: only SCHED_DEADLINE has times',
  ],
  [
    'a deadline policy without a runtime',
    [['/process/scheduler/runtime', undefined]],
    '/process/scheduler/runtime',
    'missing',
    'an integer from 1024 to 9223372036854775807 (nanoseconds)',
  ],
  [
    'a deadline before the runtime is over',
    [['/process/scheduler/deadline', 999999]],
    '/process/scheduler/deadline',
    '999999',
    'an integer from 1000000 to 9223372036854775807 (nanoseconds), no less than the time before it',
  ],
  [
    'a period that ends before its deadline',
    [['/process/scheduler/period', 1999999]],
    '/process/scheduler/period',
    '1999999',
    'an integer from 2000000 to 9223372036854775807 (nanoseconds), no less than the time before it',
  ],
  [
    'a deadline that the kernel takes for negative',
    [['/process/scheduler/deadline', 2n ** 63n]],
    '/process/scheduler/deadline',
    '9223372036854775808',
    'an integer from 1000000 to 9223372036854775807 (nanoseconds), no less than the time before it',
  ],
  [
    'a range of CPUs that goes downwards',
    [['/process/execCPUAffinity/final', '0, 7-3']],
    '/process/execCPUAffinity/final',
    '"7-3" in it',
    'numbers from 0 to 8191 and ranges of them that go upwards',
  ],
  [
    'a CPU that no machine has',
    [['/process/execCPUAffinity/initial', '0-4294967295']],
    '/process/execCPUAffinity/initial',
    '"0-4294967295" in it',
    'numbers from 0 to 8191 and ranges of them that go upwards',
  ],
  [
    'a range of CPUs in groups of none',
    [['/linux/resources/cpu/cpus', '0-7:0/0']],
    '/linux/resources/cpu/cpus',
    '"0-7:0/0" in it',
    'numbers from 0 to 8191 and ranges of them that go upwards',
  ],
  [
    'a memory node that no machine has',
    [['/linux/memoryPolicy/nodes', '1024']],
    '/linux/memoryPolicy/nodes',
    '"1024" in it',
    'numbers from 0 to 1023 and ranges of them that go upwards',
  ],
  [
    'flags of a memory policy that exclude each other',
    [['/linux/memoryPolicy/flags/1', 'MPOL_F_RELATIVE_NODES']],
    '/linux/memoryPolicy/flags/1',
    '"MPOL_F_RELATIVE_NODES"',
    'nothing beside MPOL_F_STATIC_NODES',
  ],
  [
    'a flag of a memory policy for nodes that are not given',
    [
      ['/linux/memoryPolicy/mode', 'MPOL_PREFERRED'],
      ['/linux/memoryPolicy/nodes', ''],
    ],
    '/linux/memoryPolicy/flags/0',
    '"MPOL_F_STATIC_NODES"',
    'this flag only with a list of nodes',
  ],
  [
    'a flag of a memory policy that its mode does not have',
    [['/linux/memoryPolicy/flags/0', 'MPOL_F_NUMA_BALANCING']],
    '/linux/memoryPolicy/flags/0',
    '"MPOL_F_NUMA_BALANCING"',
    'this flag only with MPOL_BIND or MPOL_PREFERRED_MANY',
  ],
  [
    'a weight of a device without a weight',
    [['/linux/resources/blockIO/weightDevice/0', { major: 8, minor: 0 }]],
    '/linux/resources/blockIO/weightDevice/0',
    'an object without them',
    'an object with weight, leafWeight or both',
  ],
  [
    'an RDMA limit without a limit',
    [['/linux/resources/rdma/rxe3', {}]],
    '/linux/resources/rdma/rxe3',
    'an object without them',
    'an object with hcaHandles, hcaObjects or both',
  ],
  [
    'a burst above the quota',
    [['/linux/resources/cpu/burst', 100001]],
    '/linux/resources/cpu/burst',
    '100001',
    'an integer up to the quota, 100000',
  ],
  [
    'an argument that the kernel would cut off',
    [['/process/args/2', 'true\0; false']],
    '/process/args/2',
    '"true\\u0000; false"',
    'a string without NUL characters',
  ],
])('%s', (_rule, edits, pointer, found, allowed) => {
  expect(violationsAfter(...edits)).toEqual([{ pointer, found, allowed }]);
});

test('what needs a namespace is refused without', () => {
  expect(violationsAfter(NO_NAMESPACES).map(({ pointer }) => pointer)).toEqual([
    '/hostname',
    '/domainname',
    '/linux/uidMappings',
    '/linux/gidMappings',
    '/linux/timeOffsets',
    '/linux/netDevices',
    '/linux/sysctl/net.ipv4.ip_forward',
    '/linux/sysctl/kernel~1shmmax',
  ]);
});

test('a rule says nothing about parts that have another mistake already', () => {
  expect(
    violationsAfter(['/linux/namespaces/4/type', 'utz']).map(({ pointer }) => pointer),
  ).toEqual(['/linux/namespaces/4/type']);
});

test.each<[what: string, edits: readonly Edit[]]>([
  ['no memory nodes where none are needed', [['/linux/memoryPolicy', { mode: 'MPOL_DEFAULT' }]]],
  ['any nodes for MPOL_PREFERRED', [['/linux/memoryPolicy', { mode: 'MPOL_PREFERRED' }]]],
  [
    'an interface with a dot in a kernel parameter',
    [['/linux/sysctl/net~1ipv4~1conf~1eth0.1~1forwarding', '1']],
  ],
  [
    'joined namespaces',
    [
      ['/linux/namespaces/4/path', '/run/ns/uts'],
      ['/linux/namespaces/3/path', '/run/ns/ipc'],
    ],
  ],
  [
    'a user that a joined user namespace may map',
    [
      ['/linux/namespaces/5/path', '/run/ns/user'],
      ['/process/user/uid', 70000],
    ],
  ],
  [
    'adjacent mappings',
    [['/linux/uidMappings/1', { containerID: 65536, hostID: 165536, size: 1 }]],
  ],
  [
    'the last ID mapped',
    [['/linux/uidMappings/1', { containerID: 65536, hostID: 4294967294, size: 1 }]],
  ],
  ['a deadline policy without a period', [['/process/scheduler/period', 0]]],
  ['a real-time policy', [['/process/scheduler', { policy: 'SCHED_FIFO', priority: 99 }]]],
  ['CPUs in groups', [['/process/execCPUAffinity/final', ' 0-8191:2/4 , 3']]],
  ['no CPUs', [['/process/execCPUAffinity/final', '']]],
  ['a memory policy without flags and nodes', [['/linux/memoryPolicy', { mode: 'MPOL_LOCAL' }]]],
  ['any burst without a quota', [['/linux/resources/cpu', { burst: 5, quota: -1 }]]],
  ['a NUL in an annotation, which no system call takes', [['/annotations/a', 'x\0y']]],
])('%s: allowed', (_what, edits) => {
  expect(violationsAfter(...edits)).toEqual([]);
});
