import { allowed, type Edit, refused, violationsAfter } from './support.ts';

const NO_NAMESPACES: Edit = ['/linux/namespaces', []];
const NOT_OVERLAPPING = 'a range that no other mapping of the array overlaps';

refused([
  [
    'a namespace type twice',
    [['/linux/namespaces/2/type', 'pid']],
    '/linux/namespaces/2/type',
    '"pid" once more',
    'each type once',
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
]);

allowed([
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
  ['a NUL in an annotation, which no system call takes', [['/annotations/a', 'x\0y']]],
]);

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
