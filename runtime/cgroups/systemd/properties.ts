/** What the limits of a container are as properties of a unit (systemd.resource-control(5)). Pure. */

import type { Value, Variant } from '../../linux/dbus/marshal.ts';
import type { Setting } from '../settings.ts';

/** A property of a unit, by its name on D-Bus (org.freedesktop.systemd1(5)). */
export type Property = readonly [name: string, value: Variant];

/** «infinity», and for weights «not set». */
const INFINITY = 2n ** 64n - 1n;
const MICROSECONDS = 1_000_000n;
/** The kernel's own, and systemd's, in microseconds. */
const DEFAULT_PERIOD = 100_000n;
/** systemd keeps shares of a CPU in whole percents: microseconds per second. */
const PERCENT = 10_000n;

/** Which version of systemd has what. */
const SINCE = { cpuIdle: 252, oomPolicy: 253, zswap: 253 } as const;

/** A property with its type, one complete type of D-Bus. */
export function property(name: string, signature: string, value: Value): Property {
  return [name, { signature, value }];
}

/**
 * Has quotas of CPU time end at whole percents of a CPU, rounded up, as runc does: systemd would
 * otherwise set another quota than the one in the file whenever it is told to reload.
 */
export function inPercents(settings: readonly Setting[]): Setting[] {
  return settings.map((setting) => {
    const { file, value } = setting;
    if (file !== 'cpu.max' || typeof value !== 'string') return setting;
    const { quota, period = DEFAULT_PERIOD } = parseCpuMax(value) ?? {};
    if (quota === undefined) return setting;
    const rounded = (perSecond(quota, period) * period) / MICROSECONDS;
    return { ...setting, value: [rounded, ...value.split(' ').slice(1)].join(' ') };
  });
}

/**
 * The properties that say the same as the files of a cgroup, as far as there are such: systemd sets
 * the files again when it is told to reload. A value that is none is left to the kernel to refuse.
 *
 * @param settings of `settingsOf`, with quotas of {@link inPercents}
 * @param version of systemd
 */
export function propertiesOf(settings: readonly Setting[], version: number): Property[] {
  // Of two for one file the later counts.
  const properties = new Map<string, Variant>();
  let idle = false;
  for (const setting of settings) {
    const { file, value } = setting.instead ?? setting;
    const text = (typeof value === 'string' ? value : value('')).trim();
    if (file === 'cpu.idle') idle = text === '1' && version >= SINCE.cpuIdle;
    for (const [name, variant] of CONVERTERS[file]?.(text, version) ?? [])
      properties.set(name, variant);
  }
  // An idle group has a weight of 0, and no other.
  if (idle) properties.set('CPUWeight', { signature: 't', value: 0n });
  return [...properties];
}

/** What a unit must be told when it is made, and never again. */
export function creationProperties(settings: readonly Setting[], version: number): Property[] {
  const group = settings.findLast(({ file }) => file === 'memory.oom.group')?.value;
  if (version < SINCE.oomPolicy || (group !== '0' && group !== '1')) return [];
  return [property('OOMPolicy', 's', group === '1' ? 'kill' : 'continue')];
}

type Converter = (value: string, version: number) => Property[];

const CONVERTERS: Readonly<Record<string, Converter>> = {
  'cpu.idle': (value) => (value === '0' ? [property('CPUWeight', 't', INFINITY)] : []),
  'cpu.max': cpuMax,
  'cpu.weight': limit('CPUWeight'),
  'cpuset.cpus': list('AllowedCPUs'),
  'cpuset.mems': list('AllowedMemoryNodes'),
  'io.weight': (value, version) => limit('IOWeight')(value.replace(/^default\s+/, ''), version),
  'memory.high': limit('MemoryHigh'),
  'memory.low': limit('MemoryLow'),
  'memory.max': limit('MemoryMax'),
  'memory.min': limit('MemoryMin'),
  'memory.swap.max': limit('MemorySwapMax'),
  'memory.zswap.max': (value, version) =>
    version < SINCE.zswap ? [] : limit('MemoryZSwapMax')(value, version),
  // systemd takes no 0, which only `unified` may have.
  'pids.max': (value, version) => limit('TasksMax')(value === '0' ? '1' : value, version),
};

function limit(name: string): Converter {
  return (value) => {
    if (value === 'max') return [property(name, 't', INFINITY)];
    return /^\d{1,19}$/.test(value) ? [property(name, 't', BigInt(value))] : [];
  };
}

function list(name: string): Converter {
  return (value) => {
    const bits = bitsOf(value);
    return bits === undefined ? [] : [property(name, 'ay', bits)];
  };
}

/** The numbers of a list such as `0-2,4` as bits, the lowest in the first byte. */
function bitsOf(text: string): Uint8Array | undefined {
  let bits = 0n;
  for (const part of text.split(',')) {
    const [, first, last = first] = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part) ?? [];
    if (first === undefined || Number(first) > Number(last)) return undefined;
    const count = BigInt(Number(last) - Number(first) + 1);
    bits |= ((1n << count) - 1n) << BigInt(first);
  }
  const bytes: number[] = [];
  for (; bits > 0n; bits >>= 8n) bytes.push(Number(bits & 0xffn));
  return Uint8Array.from(bytes);
}

function cpuMax(value: string): Property[] {
  const parsed = parseCpuMax(value);
  if (parsed === undefined) return [];
  const { quota, period } = parsed;
  const share = quota === undefined ? INFINITY : perSecond(quota, period ?? DEFAULT_PERIOD);
  return [
    ...(period === undefined ? [] : [property('CPUQuotaPeriodUSec', 't', period)]),
    property('CPUQuotaPerSecUSec', 't', share),
  ];
}

/** @returns no quota for `max`; undefined for what the kernel would refuse */
function parseCpuMax(value: string): { quota?: bigint; period?: bigint } | undefined {
  const [, quota = '', period] = /^(max|\d{1,18})(?:\s+([1-9]\d{0,17}))?$/.exec(value) ?? [];
  if (quota === '') return undefined;
  return {
    ...(quota === 'max' ? {} : { quota: BigInt(quota) }),
    ...(period === undefined ? {} : { period: BigInt(period) }),
  };
}

/** CPU time per second in microseconds, in whole percents. */
function perSecond(quota: bigint, period: bigint): bigint {
  const exact = (quota * MICROSECONDS) / period;
  return ((exact + PERCENT - 1n) / PERCENT) * PERCENT;
}
