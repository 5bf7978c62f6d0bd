/** What of `linux.resources` cgroup v2 cannot do. */

import type {
  BlockIoResources,
  CpuResources,
  MemoryResources,
} from '../../schemas/resources-config.ts';
import type { DeviceRule, Integer64, Linux } from '../../schemas/runtime-config.ts';
import { pointerTo } from '../../schemas/violation.ts';

/** Something in `config.json` that scow can't do. */
export interface Refusal {
  /** JSON pointer of the field. */
  readonly pointer: string;
  readonly message: string;
}

/**
 * What a configuration asks of cgroups that cgroup v2 cannot give: fields that only cgroup v1 has a
 * meaning for, limits that contradict one another, and device rules that cover nothing. Zero,
 * empty objects and lists ask for nothing: engines write them.
 *
 * @param linux `linux` of config.json, valid by its schema
 */
export function checkResources(linux: Pick<Linux, 'resources'>): Refusal[] {
  const { devices, memory, cpu, blockIO, network } = linux.resources ?? {};
  return [
    ...(devices ?? []).flatMap(checkDeviceRule),
    ...checkMemory(memory ?? {}),
    ...checkCpu(cpu ?? {}),
    ...checkBlockIo(blockIO ?? {}),
    ...(network?.classID || (network?.priorities ?? []).length > 0
      ? [refusal('has no counterpart in cgroup v2: mark packets with nftables', 'network')]
      : []),
  ];
}

function refusal(message: string, ...place: readonly (string | number)[]): Refusal {
  return { pointer: pointerTo('linux', 'resources', ...place), message };
}

function isLimit(value: Integer64 | undefined): boolean {
  return value !== undefined && value !== null && value > 0;
}

function checkMemory(memory: MemoryResources): Refusal[] {
  const { limit, swap } = memory;
  const refusals: Refusal[] = [];
  for (const field of ['kernel', 'kernelTCP'] as const)
    if (isLimit(memory[field]))
      refusals.push(
        refusal('is not in cgroup v2, where limit counts this memory too', 'memory', field),
      );
  if (memory.swappiness !== undefined && memory.swappiness !== null)
    refusals.push(
      refusal('is not in cgroup v2: the host has vm.swappiness', 'memory', 'swappiness'),
    );
  if (memory.disableOOMKiller)
    refusals.push(
      refusal('is not in cgroup v2: processes cannot wait there', 'memory', 'disableOOMKiller'),
    );
  if (isLimit(swap) && !limit)
    refusals.push(refusal('counts memory and swap: it needs a limit too', 'memory', 'swap'));
  else if (isLimit(swap) && isLimit(limit) && (swap as Integer64) < (limit as Integer64))
    refusals.push(
      refusal(`counts memory and swap: it is at least the limit, ${limit}`, 'memory', 'swap'),
    );
  return refusals;
}

function checkCpu(cpu: CpuResources): Refusal[] {
  return (['realtimeRuntime', 'realtimePeriod'] as const)
    .filter((field) => cpu[field])
    .map((field) =>
      refusal('is not in cgroup v2, which has no limits for real-time processes', 'cpu', field),
    );
}

function checkBlockIo(blockIO: BlockIoResources): Refusal[] {
  const why = 'is not in cgroup v2, where a cgroup with processes has no children to share with';
  const range = 'is from 10 to 1000';
  const wrong = (weight: number | undefined) =>
    weight !== undefined && weight !== 0 && (weight < 10 || weight > 1000);
  return [
    ...(blockIO.leafWeight ? [refusal(why, 'blockIO', 'leafWeight')] : []),
    ...(wrong(blockIO.weight) ? [refusal(range, 'blockIO', 'weight')] : []),
    ...(blockIO.weightDevice ?? []).flatMap((device, i) => [
      ...(device.leafWeight ? [refusal(why, 'blockIO', 'weightDevice', i, 'leafWeight')] : []),
      ...(wrong(device.weight) ? [refusal(range, 'blockIO', 'weightDevice', i, 'weight')] : []),
    ]),
  ];
}

/** A rule without it would cover nothing, which nobody means; runc refuses it too. */
function checkDeviceRule(rule: DeviceRule, index: number): Refusal[] {
  if (rule.access) return [];
  return [
    refusal('is missing: must be one or more of "r", "w" and "m"', 'devices', index, 'access'),
  ];
}
