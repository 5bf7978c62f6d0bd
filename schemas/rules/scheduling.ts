/** Rules of CPUs, memory nodes and scheduling: what the kernel would refuse, or leave out silently. */

import type { RuntimeConfig, Scheduler } from '../runtime-config.ts';
import { pointerTo, render } from '../violation.ts';
import type { Report, Rule } from './rule.ts';

export const SCHEDULING_RULES: readonly Rule[] = [
  { about: ['process', 'scheduler'], check: staticPriority },
  { about: ['process', 'scheduler'], check: deadlines },
  { about: ['process', 'execCPUAffinity'], check: execCpus },
  { about: ['linux', 'resources', 'cpu'], check: cgroupsCpus },
  { about: ['linux', 'memoryPolicy'], check: policysNodes },
  { about: ['linux', 'memoryPolicy'], check: policysFlags },
];

/** The most that a kernel can be configured to have (NR_CPUS, MAX_NUMNODES of x86 and arm64). */
const LAST_CPU = 8191;
const LAST_NODE = 1023;

const SCHEDULER = '/process/scheduler';

/** sched(7): only the real-time policies have a static priority, and they must. */
function staticPriority(config: RuntimeConfig, report: Report): void {
  const scheduler = config.process?.scheduler;
  if (scheduler === undefined) return;
  const { policy, priority } = scheduler;
  const isRealTime = policy === 'SCHED_FIFO' || policy === 'SCHED_RR';
  if (isRealTime === (priority ?? 0) > 0) return;
  report({
    pointer: `${SCHEDULER}/priority`,
    found: render(priority),
    allowed: isRealTime
      ? `an integer from 1 to 99, for ${policy}`
      : `nothing beside ${policy}, or 0`,
  });
}

const TIMES = ['runtime', 'deadline', 'period'] as const;
const SHORTEST = 1024;
const LONGEST = 2n ** 63n - 1n;

/** sched(7): 1024 ≤ runtime ≤ deadline ≤ period, where no period means the deadline. */
function deadlines(config: RuntimeConfig, report: Report): void {
  const scheduler = config.process?.scheduler;
  if (scheduler?.policy === 'SCHED_DEADLINE') inOrder(scheduler, report);
  else
    for (const key of TIMES)
      if ((scheduler?.[key] ?? 0) > 0)
        report({
          pointer: `${SCHEDULER}/${key}`,
          found: render(scheduler?.[key]),
          allowed: `nothing beside ${scheduler?.policy}: only SCHED_DEADLINE has times`,
        });
}

function inOrder(scheduler: Scheduler, report: Report): void {
  let least: bigint | number = SHORTEST;
  for (const key of TIMES) {
    const value = scheduler[key] ?? 0;
    if (key === 'period' && value === 0) return;
    if (value < least || value > LONGEST) {
      const text = key === 'runtime' ? '' : ', no less than the time before it';
      const allowed = `an integer from ${least} to ${LONGEST} (nanoseconds)${text}`;
      report({ pointer: `${SCHEDULER}/${key}`, found: render(scheduler[key]), allowed });
      return;
    }
    least = value;
  }
}

function execCpus(config: RuntimeConfig, report: Report): void {
  const affinity = config.process?.execCPUAffinity;
  for (const key of ['initial', 'final'] as const)
    inRange(affinity?.[key], LAST_CPU, report, 'process', 'execCPUAffinity', key);
}

function cgroupsCpus(config: RuntimeConfig, report: Report): void {
  const { cpus, mems } = config.linux?.resources?.cpu ?? {};
  inRange(cpus, LAST_CPU, report, 'linux', 'resources', 'cpu', 'cpus');
  inRange(mems, LAST_NODE, report, 'linux', 'resources', 'cpu', 'mems');
}

function policysNodes(config: RuntimeConfig, report: Report): void {
  inRange(config.linux?.memoryPolicy?.nodes, LAST_NODE, report, 'linux', 'memoryPolicy', 'nodes');
}

/** What the form of a list does not say: its ranges go upwards, and their groups are not empty. */
function inRange(
  list: string | undefined,
  last: number,
  report: Report,
  ...place: readonly string[]
): void {
  const isSound = (range: string) => {
    const [first = 0, end = first, used = 1, group = used] = range
      .split(/[-:/]/)
      .map((digits) => Number(digits));
    return first <= end && end <= last && used <= group && group > 0;
  };
  const wrong = (list ?? '').split(',').find((range) => !isSound(range.trim()));
  if (wrong === undefined) return;
  report({
    pointer: pointerTo(...place),
    found: `${render(wrong.trim())} in it`,
    allowed: `numbers from 0 to ${last} and ranges of them that go upwards`,
  });
}

/** set_mempolicy(2): which flags go with which modes and with each other. */
function policysFlags(config: RuntimeConfig, report: Report): void {
  const { mode, nodes = '', flags = [] } = config.linux?.memoryPolicy ?? {};
  const needsNodes = mode !== 'MPOL_DEFAULT' && mode !== 'MPOL_LOCAL' && mode !== 'MPOL_PREFERRED';
  const hasNone = nodes.trim() === '' && !needsNodes;
  for (const [index, flag] of flags.entries()) {
    const pointer = pointerTo('linux', 'memoryPolicy', 'flags', index);
    const found = render(flag);
    if (flag === 'MPOL_F_NUMA_BALANCING') {
      if (mode === 'MPOL_BIND' || mode === 'MPOL_PREFERRED_MANY') continue;
      report({ pointer, found, allowed: 'this flag only with MPOL_BIND or MPOL_PREFERRED_MANY' });
    } else if (hasNone) {
      report({ pointer, found, allowed: 'this flag only with a list of nodes' });
    } else if (flag === 'MPOL_F_RELATIVE_NODES' && flags.includes('MPOL_F_STATIC_NODES')) {
      report({ pointer, found, allowed: 'nothing beside MPOL_F_STATIC_NODES' });
    }
  }
}
