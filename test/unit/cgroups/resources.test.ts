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

test('each controller that is asked for is refused by name, and all of them at once', () => {
  const resources = {
    memory: { limit: 1 },
    cpu: { idle: 0 },
    pids: { limit: 5 },
    blockIO: { weightDevice: [{ major: 8, minor: 0, weight: 10 }] },
    hugepageLimits: [{ pageSize: '2MB', limit: 1 }],
    network: { classID: 1 },
    rdma: { mlx5_1: { hcaHandles: 3 } },
    unified: { 'memory.high': '1' },
  };
  const violations = check({ resources });
  expect(violations.map(({ pointer }) => pointer)).toEqual([
    ...Object.keys(resources).map((name) => `/linux/resources/${name}`),
  ]);
  expect(new Set(violations.map(({ message }) => message))).toEqual(
    new Set(['is not supported yet']),
  );
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
