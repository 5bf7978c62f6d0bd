import { DEFAULT_DEVICE_RULES } from '../../../../runtime/cgroups/devices.ts';
import { settingsOf } from '../../../../runtime/cgroups/settings.ts';
import { deviceProperties } from '../../../../runtime/cgroups/systemd/device-allow.ts';
import {
  creationProperties,
  inPercents,
  type Property,
  propertiesOf,
} from '../../../../runtime/cgroups/systemd/properties.ts';
import type { Resources } from '../../../../schemas/resources-config.ts';
import type { DeviceRule } from '../../../../schemas/runtime-config.ts';

const INFINITY = 2n ** 64n - 1n;

function values(properties: readonly Property[]) {
  return Object.fromEntries(properties.map(([name, { value }]) => [name, value]));
}

function of(resources: object, version = 252) {
  return values(propertiesOf(inPercents(settingsOf(resources as Resources)), version));
}

test('limits are properties of the types that systemd takes', () => {
  const resources = {
    memory: { limit: 1000, swap: 3000, reservation: 500 },
    cpu: { shares: 1024, quota: 50000, period: 100000, cpus: '0-1,4', mems: '0' },
    pids: { limit: 20 },
    blockIO: { weight: 10 },
    hugepageLimits: [{ pageSize: '2MB', limit: 1 }],
  } as unknown as Resources;
  const properties = propertiesOf(settingsOf(resources), 252);
  expect(properties.map(([name, { signature }]) => `${name} ${signature}`).sort()).toEqual([
    ...['AllowedCPUs ay', 'AllowedMemoryNodes ay', 'CPUQuotaPerSecUSec t', 'CPUQuotaPeriodUSec t'],
    ...['CPUWeight t', 'IOWeight t', 'MemoryLow t', 'MemoryMax t', 'MemorySwapMax t', 'TasksMax t'],
  ]);
  expect(values(properties)).toEqual({
    MemoryMax: 1000n,
    MemorySwapMax: 2000n,
    MemoryLow: 500n,
    CPUWeight: 100n,
    CPUQuotaPeriodUSec: 100000n,
    CPUQuotaPerSecUSec: 500000n,
    AllowedCPUs: Uint8Array.of(0b10011),
    AllowedMemoryNodes: Uint8Array.of(1),
    TasksMax: 20n,
    IOWeight: 1n,
  });
});

test('no limit is infinity', () => {
  expect(of({ memory: { limit: -1 }, cpu: { quota: -1 }, pids: { limit: -1 } })).toEqual({
    MemoryMax: INFINITY,
    MemorySwapMax: INFINITY,
    CPUQuotaPerSecUSec: INFINITY,
    TasksMax: INFINITY,
  });
  expect(of({ cpu: { period: 50000 } })).toEqual({
    CPUQuotaPeriodUSec: 50000n,
    CPUQuotaPerSecUSec: INFINITY,
  });
});

test('a quota is rounded up to whole percents, in the file too', () => {
  const settings = settingsOf({ cpu: { quota: 50500, period: 100000 } } as Resources);
  const [setting] = inPercents(settings);
  expect(setting).toMatchObject({ file: 'cpu.max', value: '51000 100000' });
  expect(of({ cpu: { quota: 50500, period: 100000 } }).CPUQuotaPerSecUSec).toBe(510000n);
  expect(of({ cpu: { quota: 1000 } })).toEqual({ CPUQuotaPerSecUSec: 10000n });
});

test('unified counts after the fields, and what systemd does not have is left out', () => {
  const unified = {
    'memory.max': '2000',
    'memory.high': '1500',
    'memory.min': '1',
    'memory.swap.max': 'max',
    'cpu.max': 'max 50000',
    'cpu.weight': '7',
    'cpuset.cpus': '9',
    'io.weight': 'default 55',
    'pids.max': '0',
    'io.max': '8:0 rbps=1',
    'rdma.max': 'x',
  };
  expect(of({ memory: { limit: 1000 }, unified })).toEqual({
    MemoryMax: 2000n,
    MemoryHigh: 1500n,
    MemoryMin: 1n,
    MemorySwapMax: INFINITY,
    CPUQuotaPeriodUSec: 50000n,
    CPUQuotaPerSecUSec: INFINITY,
    CPUWeight: 7n,
    AllowedCPUs: Uint8Array.of(0, 2),
    IOWeight: 55n,
    TasksMax: 1n,
  });
});

test('values that the kernel will refuse are left to it', () => {
  const unified = { 'memory.max': '5k', 'cpu.max': '5 0', 'cpu.weight': 'x', 'pids.max': '' };
  expect(of({ cpu: { cpus: '3-1', mems: 'a' }, unified })).toEqual({});
});

test('what newer versions have is told to them only', () => {
  expect(of({ cpu: { idle: 1, shares: 1024 } })).toEqual({ CPUWeight: 0n });
  expect(of({ cpu: { idle: 1, shares: 1024 } }, 251)).toEqual({});
  expect(of({ cpu: { idle: 0 } })).toEqual({ CPUWeight: INFINITY });
  expect(of({ cpu: { idle: 0, shares: 1024 } })).toEqual({ CPUWeight: 100n });
  const unified = { 'memory.zswap.max': '5', 'memory.oom.group': '1' };
  expect(of({ unified })).toEqual({});
  expect(of({ unified }, 253)).toEqual({ MemoryZSwapMax: 5n });
  const atCreation = (version: number) =>
    values(creationProperties(settingsOf({ unified }), version));
  expect(atCreation(252)).toEqual({});
  expect(atCreation(253)).toEqual({ OOMPolicy: 'kill' });
});

describe('device rules', () => {
  const devices = (...rules: DeviceRule[]) =>
    deviceProperties(rules).map(([name, { value }]) => [name, value]);
  const denyAll: DeviceRule = { allow: false, access: 'rwm' };
  const strict = (...list: string[]) => [
    ['DeviceAllow', []],
    ['DevicePolicy', 'strict'],
    ...(list.length === 0 ? [] : [['DeviceAllow', list.map((entry) => entry.split(' '))]]),
  ];

  test('those of every container are as runc has them', () => {
    expect(devices(denyAll, ...DEFAULT_DEVICE_RULES)).toEqual(
      strict(
        ...['char-* m', 'block-* m', '/dev/char/1:3 rwm', '/dev/char/1:5 rwm', '/dev/char/1:7 rwm'],
        ...['/dev/char/1:8 rwm', '/dev/char/1:9 rwm', '/dev/char/5:0 rwm', '/dev/char/5:2 rwm'],
        ...['char-136 rwm', '/dev/char/10:200 rwm'],
      ),
    );
  });

  test('the later rule counts, for each kind of access', () => {
    const one = { type: 'b', major: 8, minor: 0 } as const;
    expect(
      devices({ allow: true, ...one, access: 'r' }, { allow: true, ...one, access: 'w' }),
    ).toEqual(strict('/dev/block/8:0 rw'));
    expect(
      devices({ allow: true, ...one, access: 'rwm' }, { allow: false, ...one, access: 'w' }),
    ).toEqual(strict('/dev/block/8:0 rm'));
    expect(devices({ allow: true, ...one, access: 'rwm' }, denyAll)).toEqual(strict());
  });

  test('all allowed is no list at all', () => {
    const auto = [
      ['DeviceAllow', []],
      ['DevicePolicy', 'auto'],
    ];
    expect(devices(denyAll, { allow: true, access: 'rwm' }, ...DEFAULT_DEVICE_RULES)).toEqual(auto);
    const each = (['b', 'c'] as const).map((type) => ({ allow: true, type, access: 'rwm' }));
    expect(devices(...each)).toEqual(auto);
  });

  test('what systemd cannot say is allowed, for scow’s own filter denies it', () => {
    expect(
      devices(
        { allow: true, type: 'c', major: 4, access: 'rw' },
        { allow: false, type: 'c', major: 4, minor: 64, access: 'rwm' },
      ),
    ).toEqual(strict('char-4 rw'));
    expect(devices({ allow: true, type: 'c', minor: 5, access: 'r' })).toEqual(strict('char-* r'));
  });
});
