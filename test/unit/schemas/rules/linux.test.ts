import { allowed, refused } from './support.ts';

const SYSCTL =
  'a kernel parameter that namespaces have for themselves (net.*, fs.mqueue.*, kernel.sem, kernel.shm*, kernel.msgmax, kernel.msgmnb, kernel.msgmni, kernel.domainname, user.max_*)';

refused([
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
]);

allowed([
  ['no memory nodes where none are needed', [['/linux/memoryPolicy', { mode: 'MPOL_DEFAULT' }]]],
  ['any nodes for MPOL_PREFERRED', [['/linux/memoryPolicy', { mode: 'MPOL_PREFERRED' }]]],
  [
    'an interface with a dot in a kernel parameter',
    [['/linux/sysctl/net~1ipv4~1conf~1eth0.1~1forwarding', '1']],
  ],
  ['a memory policy without flags and nodes', [['/linux/memoryPolicy', { mode: 'MPOL_LOCAL' }]]],
  ['any burst without a quota', [['/linux/resources/cpu', { burst: 5, quota: -1 }]]],
]);
