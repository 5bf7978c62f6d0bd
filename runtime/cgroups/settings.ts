/** What `linux.resources` means for cgroup v2: which value belongs into which file. Pure. */

import type {
  BlockIoResources,
  CpuResources,
  HugepageLimit,
  MemoryResources,
  RdmaLimit,
  Resources,
  ThrottleDevice,
} from '../../schemas/resources-config.ts';
import type { Integer64 } from '../../schemas/runtime-config.ts';
import { pointerTo } from '../../schemas/violation.ts';

/** A value for a file of a cgroup. */
export interface Setting {
  /** Such as `memory.max`: the controller's name ends at the first dot. */
  readonly file: string;
  /** What is written, or how it follows from what the file says now. */
  readonly value: string | ((current: string) => string);
  /** JSON pointer of the field that asks for it. */
  readonly pointer: string;
  /** Without the file, what is asked for is so anyway. */
  readonly dispensable?: boolean;
  /** What serves where the file does not exist. */
  readonly instead?: Setting;
}

/**
 * The settings that make a container's resources effective, in the order in which they're written
 * (config-linux.md; the kernel's cgroup-v2.rst). Device rules are not among them.
 *
 * @param resources `linux.resources`, in which `checkResources` found no fault
 */
export function settingsOf(resources: Resources): Setting[] {
  return [
    ...memory(resources.memory ?? {}),
    ...cpu(resources.cpu ?? {}),
    ...io(resources.blockIO ?? {}),
    ...(resources.hugepageLimits ?? []).flatMap(hugetlb),
    ...Object.entries(resources.rdma ?? {}).map(([device, limit]) => rdma(device, limit)),
    ...pids(resources.pids?.limit),
    ...Object.entries(resources.unified ?? {}).map(([file, value]) => ({
      file,
      value,
      pointer: at('unified', file),
    })),
  ];
}

function at(...place: readonly (string | number)[]): string {
  return pointerTo('linux', 'resources', ...place);
}

/** Engines write 0 for a limit that nobody asked for. */
function isSet(value: Integer64 | undefined): value is Integer64 {
  return value !== undefined && value !== null && Number(value) !== 0;
}

function limit(value: Integer64): string {
  return value < 0 ? 'max' : String(value);
}

function memory({ limit: max, reservation, swap }: MemoryResources): Setting[] {
  const settings: Setting[] = [];
  const swapMax = swapLimit(swap, max);
  // Where the kernel does not account for swap, none and any amount are both out of its hands.
  if (swapMax !== undefined)
    settings.push({
      file: 'memory.swap.max',
      value: swapMax,
      pointer: at('memory', 'swap'),
      dispensable: swapMax === '0' || swapMax === 'max',
    });
  if (isSet(max))
    settings.push({ file: 'memory.max', value: limit(max), pointer: at('memory', 'limit') });
  if (isSet(reservation))
    settings.push({
      file: 'memory.low',
      value: limit(reservation),
      pointer: at('memory', 'reservation'),
    });
  return settings;
}

/** The specification counts memory and swap together, as cgroup v1 did; cgroup v2 swap alone. */
function swapLimit(
  swap: Integer64 | undefined,
  memoryLimit: Integer64 | undefined,
): string | undefined {
  if (!isSet(swap)) return isSet(memoryLimit) && memoryLimit < 0 ? 'max' : undefined;
  if (swap < 0) return 'max';
  if (!isSet(memoryLimit) || memoryLimit < 0) return String(swap);
  return String(BigInt(swap) - BigInt(memoryLimit));
}

/** CPU shares from 2 to 262144, by default 1024, as a weight from 1 to 10000, by default 100. */
export function weightOfShares(shares: Integer64): number {
  const value = Number(shares);
  if (value <= 2) return 1;
  if (value >= 262144) return 10000;
  // The curve through the three pairs (2, 1), (1024, 100) and (262144, 10000) in logarithms, on
  // which the runtimes have agreed: a straight line gave the default a weight of 39.
  const logarithm = Math.log2(value);
  return Math.ceil(10 ** ((logarithm * logarithm + 125 * logarithm) / 612 - 7 / 34));
}

function cpu({ shares, quota, period, burst, idle, cpus, mems }: CpuResources): Setting[] {
  const settings: Setting[] = [];
  const add = (file: string, value: Setting['value'], field: keyof CpuResources) =>
    settings.push({ file, value, pointer: at('cpu', field) });
  // What is 0 where there is no such file either.
  const addOrNone = (file: string, value: Integer64, field: keyof CpuResources) =>
    settings.push({
      file,
      value: String(value),
      pointer: at('cpu', field),
      dispensable: Number(value) === 0,
    });
  if (idle !== undefined && idle !== null) addOrNone('cpu.idle', idle, 'idle');
  // An idle group has no weight: the kernel refuses one.
  if (isSet(shares) && idle !== 1) add('cpu.weight', String(weightOfShares(shares)), 'shares');
  if (burst !== undefined && burst !== null) addOrNone('cpu.max.burst', burst, 'burst');
  if (isSet(quota))
    add('cpu.max', isSet(period) ? `${limit(quota)} ${period}` : limit(quota), 'quota');
  else if (isSet(period))
    add('cpu.max', (current) => `${current.split(' ')[0] || 'max'} ${period}`, 'period');
  if (cpus) add('cpuset.cpus', String(cpus), 'cpus');
  if (mems) add('cpuset.mems', String(mems), 'mems');
  return settings;
}

/**
 * The limit is written when init has done its own fork. What 0 means, no process but the first,
 * is 1 for the kernel.
 */
function pids(value: Integer64 | undefined): Setting[] {
  if (value === undefined || value === null) return [];
  const max = Number(value) === 0 ? '1' : limit(value);
  return [{ file: 'pids.max', value: max, pointer: at('pids', 'limit') }];
}

/** A weight from 10 to 1000, as cgroup v1 has it, on the scale of `io.weight`: 1 to 10000. */
function ioWeight(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

/** The scheduler BFQ has files of its own; all others share `io.weight`. */
function weight(value: number, device: string, pointer: string): Setting {
  const instead = { file: 'io.weight', value: `${device}${ioWeight(value)}`, pointer };
  return { file: 'io.bfq.weight', value: `${device}${value}`, pointer, instead };
}

function io(blockIO: BlockIoResources): Setting[] {
  const settings: Setting[] = [];
  if (isSet(blockIO.weight)) settings.push(weight(blockIO.weight, '', at('blockIO', 'weight')));
  for (const [i, { major, minor, weight: value }] of (blockIO.weightDevice ?? []).entries())
    if (isSet(value))
      settings.push(weight(value, `${major}:${minor} `, at('blockIO', 'weightDevice', i)));
  return [
    ...settings,
    ...throttle('throttleReadBpsDevice', 'rbps', blockIO),
    ...throttle('throttleWriteBpsDevice', 'wbps', blockIO),
    ...throttle('throttleReadIOPSDevice', 'riops', blockIO),
    ...throttle('throttleWriteIOPSDevice', 'wiops', blockIO),
  ];
}

type ThrottleField = {
  [K in keyof BlockIoResources]-?: BlockIoResources[K] extends readonly ThrottleDevice[] | undefined
    ? K
    : never;
}[keyof BlockIoResources];

/** A rate of 0 lifts the limit, as in cgroup v1. */
function throttle(field: ThrottleField, key: string, blockIO: BlockIoResources): Setting[] {
  return (blockIO[field] ?? []).map(({ major, minor, rate }, i) => ({
    file: 'io.max',
    value: `${major}:${minor} ${key}=${isSet(rate) ? rate : 'max'}`,
    pointer: at('blockIO', field, i),
  }));
}

/** Both what is reserved and what is used; the first since Linux 5.7. The kernel's names are in capitals. */
function hugetlb({ pageSize, limit: max }: HugepageLimit, i: number): Setting[] {
  const size = pageSize.toUpperCase();
  const pointer = at('hugepageLimits', i);
  const value = String(max);
  return [
    { file: `hugetlb.${size}.max`, value, pointer },
    { file: `hugetlb.${size}.rsvd.max`, value, pointer, dispensable: true },
  ];
}

function rdma(device: string, { hcaHandles, hcaObjects }: RdmaLimit): Setting {
  const words = [device];
  if (hcaHandles !== undefined) words.push(`hca_handle=${hcaHandles}`);
  if (hcaObjects !== undefined) words.push(`hca_object=${hcaObjects}`);
  return { file: 'rdma.max', value: words.join(' '), pointer: at('rdma', device) };
}
