import { checkResources } from '../../../runtime/cgroups/resources.ts';
import type { Linux } from '../../../schemas/runtime-config.ts';

/** Configurations as JSON has them, beyond what the types allow. */
const check = (linux: object) => checkResources(linux as Linux);

test('device rules as runc spec and engines write them are accepted', () => {
  expect(check({})).toEqual([]);
  expect(check({ resources: { devices: [{ allow: false, access: 'rwm' }] } })).toEqual([]);
  const devices = [
    { allow: true, type: 'c', major: 10, minor: 229, access: 'rwm' },
    { allow: true, type: 'a', major: -1, minor: -1, access: 'm' },
  ];
  expect(check({ resources: { devices } })).toEqual([]);
});

test('objects in which nothing is set ask for nothing', () => {
  const resources = {
    memory: {},
    cpu: { shares: null, cpus: undefined },
    pids: null,
    blockIO: { weightDevice: [] },
    hugepageLimits: [],
    network: {},
    rdma: {},
    unified: {},
  };
  expect(check({ resources })).toEqual([]);
});

test('limits that cgroup v2 has are accepted', () => {
  const resources = {
    memory: { limit: 10, swap: 20, reservation: 5, kernel: -1, useHierarchy: true },
    cpu: { shares: 1024, quota: 1000, period: 2000, cpus: '0', idle: 0, realtimeRuntime: 0 },
    pids: { limit: 5 },
    blockIO: { weight: 10, weightDevice: [{ major: 8, minor: 0, weight: 1000 }] },
    hugepageLimits: [{ pageSize: '2MB', limit: 1 }],
    rdma: { mlx5_1: { hcaHandles: 3 } },
    unified: { 'memory.high': '1' },
  };
  expect(check({ resources })).toEqual([]);
});

test.each([
  ['memory/kernel', { memory: { kernel: 1 } }, 'is not in cgroup v2'],
  ['memory/kernelTCP', { memory: { kernelTCP: 1 } }, 'is not in cgroup v2'],
  ['memory/swappiness', { memory: { swappiness: 0 } }, 'vm.swappiness'],
  ['memory/disableOOMKiller', { memory: { disableOOMKiller: true } }, 'is not in cgroup v2'],
  ['memory/swap', { memory: { swap: 5 } }, 'needs a limit too'],
  ['memory/swap', { memory: { limit: 10, swap: 5 } }, 'at least the limit, 10'],
  ['cpu/realtimeRuntime', { cpu: { realtimeRuntime: 1 } }, 'real-time'],
  ['cpu/realtimePeriod', { cpu: { realtimePeriod: 1 } }, 'real-time'],
  ['blockIO/leafWeight', { blockIO: { leafWeight: 10 } }, 'is not in cgroup v2'],
  ['blockIO/weight', { blockIO: { weight: 9 } }, 'from 10 to 1000'],
  [
    'blockIO/weightDevice/0/leafWeight',
    { blockIO: { weightDevice: [{ major: 8, minor: 0, leafWeight: 10 }] } },
    'is not in cgroup v2',
  ],
  ['network', { network: { classID: 1 } }, 'nftables'],
])('%s that cgroup v2 cannot honour is refused with the reason', (place, resources, why) => {
  const [refusal, ...others] = check({ resources });
  expect(others).toEqual([]);
  expect(refusal?.pointer).toBe(`/linux/resources/${place}`);
  expect(refusal?.message).toContain(why);
});

test('a device rule without access, which would cover nothing, is refused', () => {
  const devices = [{ allow: true, access: 'r' }, { allow: false }, { allow: false, access: '' }];
  expect(check({ resources: { devices } })).toEqual(
    [1, 2].map((i) => ({
      pointer: `/linux/resources/devices/${i}/access`,
      message: 'is missing: must be one or more of "r", "w" and "m"',
    })),
  );
});
