import { isObject } from '../../schemas/is-object.ts';
import type { Resources } from '../../schemas/resources-config.ts';
import type { IntelRdt, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { writeJson } from '../../schemas/write-json.ts';
import { changeSettings } from '../cgroups/apply.ts';
import { applyDeviceRules } from '../cgroups/attach.ts';
import { Cgroup } from '../cgroups/cgroup.ts';
import { DEFAULT_DEVICE_RULES } from '../cgroups/devices.ts';
import { settingsOf } from '../cgroups/settings.ts';
import type { UnitId } from '../cgroups/systemd/scope.ts';
import { checkUsage } from '../cgroups/usage.ts';
import { statusOf } from './state.ts';
import type { ContainerStore } from './store.ts';
import { checkSupported } from './supported.ts';

/** What is to change; what it does not mention stays. */
export interface Change {
  /** What a `linux.resources` of config.json may hold, valid by its schema. */
  readonly resources: Resources;
  /** Schemata for the container's class of service. */
  readonly rdt?: Pick<IntelRdt, 'l3CacheSchema' | 'memBwSchema'>;
}

/**
 * Changes the resources of a container that is there.
 *
 * @throws Error in one line when the container has stopped or has no cgroup, cgroup v2 does not have
 *   what is asked for, or the kernel refuses a value
 */
export async function updateContainer(
  store: ContainerStore,
  id: string,
  { resources: change, rdt }: Change,
): Promise<void> {
  const lock = store.lock(id);
  try {
    const state = store.read(id);
    const status = statusOf(state, store.directory(id));
    if (status === 'stopped' || status === 'creating')
      throw new Error(`container not running: ${JSON.stringify(id)} is ${status}`);
    if (state.cgroup === null)
      throw new Error(`cannot update container ${JSON.stringify(id)}: it has no cgroup of its own`);
    const config = store.readConfig(id);
    const resources = merge(config.linux?.resources ?? {}, change);
    const cgroup = Cgroup.at(state.cgroup);
    const full = completed(change, resources);
    check(cgroup, full, resources);
    await apply(cgroup, full, state.unit);
    if (rdt !== undefined) (await import('./intel-rdt.ts')).changeSchemata(state.intelRdt, rdt);
    const intelRdt = { ...config.linux?.intelRdt, ...rdt };
    const linux = { ...config.linux, resources, ...(rdt === undefined ? {} : { intelRdt }) };
    const updated: RuntimeConfig = { ...config, linux };
    store.keepConfig(id, writeJson(updated));
  } finally {
    lock.release();
  }
}

function check(cgroup: Cgroup, change: Resources, all: Resources): void {
  checkSupported({ linux: { resources: change } }, 'update');
  if (all.memory?.checkBeforeUpdate) checkUsage(cgroup, change.memory ?? {});
}

/** systemd is told when the kernel has accepted it all. */
async function apply(cgroup: Cgroup, change: Resources, unit: UnitId | undefined): Promise<void> {
  const { devices = [] } = change;
  if (unit === undefined) changeSettings(cgroup, settingsOf(change));
  else {
    const { unitSettings, updateUnit } = await import('../cgroups/systemd/scope.ts');
    const settings = unitSettings(change);
    changeSettings(cgroup, settings, () => updateUnit(unit, settings, devices));
  }
  if (devices.length > 0) applyDeviceRules(cgroup, [...devices, ...DEFAULT_DEVICE_RULES]);
}

/** Swap is counted together with memory, a quota in periods: a change of one needs the other. */
function completed(change: Resources, { memory, cpu }: Resources): Resources {
  const { swap, limit } = change.memory ?? {};
  const { quota, period } = change.cpu ?? {};
  return {
    ...change,
    ...(swap && !limit && memory?.limit
      ? { memory: { ...change.memory, limit: memory.limit } }
      : {}),
    ...(quota && !period && cpu?.period ? { cpu: { ...change.cpu, period: cpu.period } } : {}),
    ...(period && !quota && cpu?.quota ? { cpu: { ...change.cpu, quota: cpu.quota } } : {}),
  };
}

/** Each part keeps the fields that its change does not have. */
function merge(old: Resources, change: Resources): Resources {
  const entries = Object.entries(change).map(([part, value]) => {
    const before = old[part as keyof Resources];
    const both = isObject(before) && isObject(value);
    return [part, both ? { ...before, ...value } : value] as const;
  });
  return { ...old, ...Object.fromEntries(entries) };
}
