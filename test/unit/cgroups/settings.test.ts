import { settingsOf, weightOfShares } from '../../../runtime/cgroups/settings.ts';
import type { Resources } from '../../../schemas/resources-config.ts';

/** File and value of each setting; a value that depends on the current one, for `current`. */
function files(resources: object, current = 'max 100000') {
  return settingsOf(resources as Resources).map(({ file, value }) => [
    file,
    typeof value === 'string' ? value : value(current),
  ]);
}

test('nothing is set for zeroes and empty objects, as engines write them', () => {
  const resources = {
    memory: { limit: 0, swap: 0, reservation: 0 },
    cpu: { shares: 0, quota: 0, period: 0, cpus: '', mems: '' },
    blockIO: { weight: 0, weightDevice: [], throttleReadBpsDevice: [] },
    hugepageLimits: [],
    unified: {},
  };
  expect(files(resources)).toEqual([]);
});

test.each([
  [
    { limit: 1000, swap: 3000 },
    { 'memory.max': '1000', 'memory.swap.max': '2000' },
  ],
  [
    { limit: 1000, swap: 1000 },
    { 'memory.max': '1000', 'memory.swap.max': '0' },
  ],
  [
    { limit: 1000, swap: -1 },
    { 'memory.max': '1000', 'memory.swap.max': 'max' },
  ],
  [{ limit: -1 }, { 'memory.max': 'max', 'memory.swap.max': 'max' }],
  [
    { limit: -1, swap: 5 },
    { 'memory.max': 'max', 'memory.swap.max': '5' },
  ],
  [
    { limit: 2n ** 60n, swap: 2n ** 60n + 1n },
    { 'memory.max': String(2n ** 60n), 'memory.swap.max': '1' },
  ],
  [{ reservation: 7 }, { 'memory.low': '7' }],
])('memory %p', (memory, expected) => {
  expect(Object.fromEntries(files({ memory }))).toEqual(expected);
});

test('CPU shares become weights by the curve that runc and crun use', () => {
  // From cgroup v1’s smallest, default and largest to cgroup v2’s; and one between.
  const pairs = [1, 2, 512, 1024, 2048, 262144, 300000].map((shares) => weightOfShares(shares));
  expect(pairs).toEqual([1, 1, 59, 100, 174, 10000, 10000]);
});

test.each([
  [{ quota: 50000, period: 200000 }, [['cpu.max', '50000 200000']]],
  [{ quota: 50000 }, [['cpu.max', '50000']]],
  [{ quota: -1 }, [['cpu.max', 'max']]],
  [{ period: 200000 }, [['cpu.max', '7000 200000']]],
  [{ burst: 0 }, [['cpu.max.burst', '0']]],
  [{ idle: 1, shares: 1024 }, [['cpu.idle', '1']]],
  [
    { cpus: '0-1', mems: '0' },
    [
      ['cpuset.cpus', '0-1'],
      ['cpuset.mems', '0'],
    ],
  ],
])('cpu %p', (cpu, expected) => {
  expect(files({ cpu }, '7000 100000')).toEqual(expected);
});

test.each([
  [5, '5'],
  [0, '1'],
  [-1, 'max'],
])('pids.limit %p', (limit, value) => {
  expect(files({ pids: { limit } })).toEqual([['pids.max', value]]);
});

test('block I/O', () => {
  const blockIO = {
    weight: 10,
    weightDevice: [{ major: 8, minor: 0, weight: 1000 }],
    throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1024 }],
    throttleWriteIOPSDevice: [{ major: 8, minor: 0, rate: 0 }],
  };
  expect(files({ blockIO })).toEqual([
    ['io.bfq.weight', '10'],
    ['io.bfq.weight', '8:0 1000'],
    ['io.max', '8:0 rbps=1024'],
    ['io.max', '8:0 wiops=max'],
  ]);
  const instead = settingsOf({ blockIO }).map((setting) => setting.instead?.value);
  expect(instead).toEqual(['1', '8:0 10000', undefined, undefined]);
});

test('huge pages, RDMA and files by their names, each with its pointer', () => {
  const resources = {
    hugepageLimits: [
      { pageSize: '2MB', limit: 2097152 },
      { pageSize: '1gb', limit: 0 },
    ],
    rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 4 }, hfi1_0: { hcaObjects: 1 } },
    unified: { 'memory.high': '1', 'io.max': '8:0 rbps=1\n8:16 rbps=2' },
  };
  expect(settingsOf(resources).map(({ file, value, pointer }) => [file, value, pointer])).toEqual([
    ['hugetlb.2MB.max', '2097152', '/linux/resources/hugepageLimits/0'],
    ['hugetlb.2MB.rsvd.max', '2097152', '/linux/resources/hugepageLimits/0'],
    ['hugetlb.1GB.max', '0', '/linux/resources/hugepageLimits/1'],
    ['hugetlb.1GB.rsvd.max', '0', '/linux/resources/hugepageLimits/1'],
    ['rdma.max', 'mlx5_1 hca_handle=3 hca_object=4', '/linux/resources/rdma/mlx5_1'],
    ['rdma.max', 'hfi1_0 hca_object=1', '/linux/resources/rdma/hfi1_0'],
    ['memory.high', '1', '/linux/resources/unified/memory.high'],
    ['io.max', '8:0 rbps=1\n8:16 rbps=2', '/linux/resources/unified/io.max'],
  ]);
});
