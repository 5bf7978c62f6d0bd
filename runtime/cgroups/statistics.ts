import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../linux/reason.ts';

/** A count; beyond 2^53 a bigint. */
type Count = number | bigint;

/** What «max» is in statistics that were made for cgroup v1. */
const UNLIMITED = 2n ** 64n - 1n;
const NANOSECONDS = 1000;

/**
 * The statistics of a cgroup, in the shape that `runc events` gives them and engines read.
 * Controllers that are not enabled leave their part empty.
 *
 * @param path the cgroup's directory
 * @throws Error of node:fs when the cgroup is gone
 */
export function readStatistics(path: string): object {
  // What has gone while it was read is an error of its own, not a container without controllers.
  readFileSync(join(path, 'cgroup.procs'));
  return {
    cpu: cpu(path),
    cpuset: cpuset(path),
    memory: memory(path),
    pids: pids(path),
    blkio: blkio(path),
    hugetlb: hugetlb(path),
    rdma: { current: rdma(path, 'rdma.current'), limit: rdma(path, 'rdma.max') },
    intel_rdt: {},
    network_interfaces: null,
  };
}

function cpu(path: string): object {
  const stat = keys(path, 'cpu.stat');
  const time = (key: string) => Number(stat.get(key) ?? 0) * NANOSECONDS;
  return {
    usage: { total: time('usage_usec'), kernel: time('system_usec'), user: time('user_usec') },
    throttling: {
      periods: stat.get('nr_periods') ?? 0,
      throttledPeriods: stat.get('nr_throttled') ?? 0,
      throttledTime: time('throttled_usec'),
    },
    ...pressure(path, 'cpu.pressure'),
  };
}

function cpuset(path: string): object {
  return {
    cpus: numbers(text(path, 'cpuset.cpus.effective')),
    mems: numbers(text(path, 'cpuset.mems.effective')),
  };
}

function memory(path: string): object {
  const raw = keys(path, 'memory.stat');
  const events = keys(path, 'memory.events');
  const usage = count(text(path, 'memory.current')) ?? 0;
  const limit = count(text(path, 'memory.max')) ?? 0;
  const swap = count(text(path, 'memory.swap.current')) ?? 0;
  const swapLimit = count(text(path, 'memory.swap.max')) ?? 0;
  const sum = (a: Count, b: Count) =>
    a === UNLIMITED || b === UNLIMITED ? UNLIMITED : short(BigInt(a) + BigInt(b));
  return {
    cache: raw.get('file') ?? 0,
    usage: {
      limit,
      usage,
      max: count(text(path, 'memory.peak')) ?? 0,
      failcnt: events.get('max') ?? 0,
    },
    // Together with memory, as cgroup v1 had it.
    swap: { limit: sum(swapLimit, limit), usage: sum(swap, usage), failcnt: 0 },
    raw: Object.fromEntries(raw),
    ...pressure(path, 'memory.pressure'),
  };
}

/** No limit is 0. Without the controller the processes themselves are counted. */
function pids(path: string): object {
  const current = count(text(path, 'pids.current'));
  if (current === undefined)
    return { current: (text(path, 'cgroup.procs') ?? '').split('\n').filter(Boolean).length };
  const limit = count(text(path, 'pids.max')) ?? 0;
  return { current, limit: limit === UNLIMITED ? 0 : limit };
}

const IO_TABLES: Readonly<Record<string, readonly [table: string, op: string]>> = {
  rbytes: ['ioServiceBytesRecursive', 'Read'],
  wbytes: ['ioServiceBytesRecursive', 'Write'],
  rios: ['ioServicedRecursive', 'Read'],
  wios: ['ioServicedRecursive', 'Write'],
};

function blkio(path: string): object {
  const tables: Record<string, object[]> = {};
  for (const line of lines(path, 'io.stat')) {
    const [device = '', ...items] = line.split(' ');
    const [major, minor] = device.split(':').map(Number);
    for (const item of items) {
      const [key = '', value] = item.split('=');
      const [table, op] = IO_TABLES[key] ?? [];
      if (table === undefined) continue;
      tables[table] ??= [];
      tables[table].push({ major, minor, op, value: count(value) ?? 0 });
    }
  }
  return { ...tables, ...pressure(path, 'io.pressure') };
}

/** By the size of the pages, such as 2MB: what is reserved, where the kernel tells (since 5.7). */
function hugetlb(path: string): object {
  const sizes = readdirSync(path).flatMap(
    (name) => /^hugetlb\.(\w+)\.current$/.exec(name)?.[1] ?? [],
  );
  const entries = sizes.map((size) => {
    const reserved = text(path, `hugetlb.${size}.rsvd.current`);
    const usage = count(reserved ?? text(path, `hugetlb.${size}.current`)) ?? 0;
    const failcnt = keys(path, `hugetlb.${size}.events`).get('max') ?? 0;
    return [size, { usage, failcnt }];
  });
  return Object.fromEntries(entries);
}

function rdma(path: string, file: string): object[] {
  return lines(path, file).map((line) => {
    const [device, ...items] = line.split(' ');
    const values = new Map(items.map((item) => item.split('=') as [string, string]));
    return {
      device,
      hca_handles: count(values.get('hca_handle')) ?? 0,
      hca_objects: count(values.get('hca_object')) ?? 0,
    };
  });
}

/** Pressure stall information (the kernel's psi.rst); nothing where the kernel does not gather it. */
function pressure(path: string, file: string): object {
  const entries = lines(path, file).map((line) => {
    const [kind, ...items] = line.split(' ');
    const values = items.map((item) => item.split('='));
    return [kind, Object.fromEntries(values.map(([key, value]) => [key, Number(value)]))];
  });
  return entries.length === 0 ? {} : { psi: Object.fromEntries(entries) };
}

/** A file of lines with a key and a count. */
function keys(path: string, file: string): Map<string, Count> {
  return new Map(
    lines(path, file).map((line) => {
      const [key = '', value] = line.split(' ');
      return [key, count(value) ?? 0];
    }),
  );
}

function lines(path: string, file: string): string[] {
  return (text(path, file) ?? '').split('\n').filter(Boolean);
}

/** @returns undefined when there is no such file, or the kernel was told not to keep it */
function text(path: string, file: string): string | undefined {
  try {
    return readFileSync(join(path, file), 'latin1').trim();
  } catch (error) {
    if (['ENOENT', 'ENODEV', 'ENOTSUP', 'EOPNOTSUPP'].includes(codeOf(error) ?? ''))
      return undefined;
    throw error;
  }
}

function count(value: string | undefined): Count | undefined {
  if (value === 'max') return UNLIMITED;
  return value === undefined || value === '' ? undefined : short(BigInt(value));
}

function short(value: bigint): Count {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

/** A list such as 0-2,4. */
function numbers(list: string | undefined): number[] {
  return (list ?? '')
    .split(',')
    .filter(Boolean)
    .flatMap((range) => {
      const [first = 0, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}
