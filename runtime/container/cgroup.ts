import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { applySettings } from '../cgroups/apply.ts';
import { applyDeviceRules } from '../cgroups/attach.ts';
import type { Cgroup } from '../cgroups/cgroup.ts';
import { enableControllers } from '../cgroups/controllers.ts';
import { createCgroup, frozenError, NoCgroupAccess, removeCreated } from '../cgroups/create.ts';
import { DEFAULT_DEVICE_RULES } from '../cgroups/devices.ts';
import { findHierarchy, ownCgroup } from '../cgroups/hierarchy.ts';
import { containerCgroupPath } from '../cgroups/path.ts';
import { type Setting, settingsOf } from '../cgroups/settings.ts';
import type { Scope } from '../cgroups/systemd/scope.ts';
import { checkUsage } from '../cgroups/usage.ts';
import { debug, warn } from './log.ts';

/** Where a container's cgroup is to be. */
export interface CgroupPlace {
  /** Where the hierarchy is mounted. */
  readonly mount: string;
  /** The cgroup's path below that. */
  readonly path: string;
  /** It is scow's own: none is made for the container, which stays there. */
  readonly shared: boolean;
  /** The container may do without: nothing in its configuration needs the cgroup. */
  readonly optional: boolean;
  /** The limits that it gets. */
  readonly settings: readonly Setting[];
  /** The unit of systemd that it is of, if it is. */
  readonly scope?: Scope;
}

/** Who makes a container's cgroup; `disabled`: nobody does. */
export type CgroupManager = 'cgroupfs' | 'systemd' | 'disabled';

/**
 * Finds where a container's cgroup belongs.
 *
 * @returns undefined when there is none, and none is to be made
 * @throws Error in one line when there is no cgroup v2, the configured path is no path, or systemd
 *   is to make the cgroup and does not answer
 */
export async function placeCgroup(
  config: RuntimeConfig,
  id: string,
  manager: CgroupManager,
): Promise<CgroupPlace | undefined> {
  const { cgroupsPath, resources = {} } = config.linux ?? {};
  if (manager === 'systemd') {
    const scope = (await import('../cgroups/systemd/scope.ts')).Scope.prepare(config, id);
    const { mount, path, settings } = scope;
    return { mount, path, shared: false, optional: false, settings, scope };
  }
  const settings = settingsOf(resources);
  if (manager === 'disabled') return ownPlace(settings);
  const hierarchy = findHierarchy();
  const path = containerCgroupPath({ id, cgroupsPath }, hierarchy);
  return {
    mount: hierarchy.mountPoint,
    path,
    shared: false,
    optional:
      !cgroupsPath &&
      (resources.devices ?? []).every(({ allow }) => !allow) &&
      settings.length === 0,
    settings,
  };
}

/** Where scow itself is, as far as that can be seen. */
function ownPlace(settings: readonly Setting[]): CgroupPlace | undefined {
  try {
    const hierarchy = findHierarchy();
    const path = ownCgroup(hierarchy);
    return { mount: hierarchy.mountPoint, path, shared: true, optional: true, settings };
  } catch (error) {
    debug((error as Error).message);
    return undefined;
  }
}

/** The directory of a container's own cgroup; null when it has none, so that no other is touched. */
export function directoryOf(place: CgroupPlace | undefined): string | null {
  return place === undefined || place.shared ? null : pathOf(place);
}

function pathOf({ mount, path }: CgroupPlace): string {
  return path === '/' ? mount : `${mount}${path}`;
}

/**
 * Makes a container's cgroup and sets its limits, but for the number of processes. Its device rules
 * follow (`setDeviceRules`).
 *
 * @param undo gets what removes it again
 * @returns undefined when none is to be made, or it may not be and the container can do without
 * @throws Error in one line when the kernel refuses
 */
export function makeCgroup(
  config: RuntimeConfig,
  place: CgroupPlace | undefined,
  undo: (() => void)[],
): Cgroup | undefined {
  if (place === undefined || place.shared) {
    const [first] = settingsOf(config.linux?.resources ?? {});
    if (first !== undefined)
      warn(`without a cgroup, by --cgroup-manager disabled, ${first.pointer} has no effect`);
    warnOfLooseProcesses(config);
    return undefined;
  }
  let made: ReturnType<typeof createCgroup>;
  try {
    made = createCgroup(pathOf(place));
  } catch (error) {
    if (!(error instanceof NoCgroupAccess) || !place.optional) throw error;
    debug(`${error.message}: going on without a cgroup`);
    warnOfLooseProcesses(config);
    return undefined;
  }
  const { cgroup, created } = made;
  undo.push(() => {
    if (created.includes(cgroup.path)) cgroup.remove();
    removeCreated(created);
  });
  const { memory } = config.linux?.resources ?? {};
  // One that was there before may have memory in use without a process.
  if (memory?.checkBeforeUpdate) checkUsage(cgroup, memory);
  fillCgroup(config, place, cgroup);
  return cgroup;
}

/**
 * Has systemd make a container's cgroup around its init, and sets what systemd does not.
 *
 * @param undo gets what removes it again
 * @throws Error in one line when systemd or the kernel refuses
 */
export function makeScope(
  config: RuntimeConfig,
  place: CgroupPlace,
  scope: Scope,
  pid: number,
  undo: (() => void)[],
): Cgroup {
  const cgroup = scope.start(pid);
  // Not before it is known to be ours.
  undo.push(() => {
    cgroup.kill();
    scope.stop();
    cgroup.remove();
  });
  const frozenBy = cgroup.frozenBy();
  if (frozenBy !== undefined) throw frozenError(cgroup.path, frozenBy);
  // systemd has limited the processes already, and init may still have to fork.
  const noLimit = place.settings.filter(isOfPids).map((one) => ({ ...one, value: 'max' }));
  applySettings(cgroup, noLimit);
  fillCgroup(config, place, cgroup);
  setDeviceRules(config, cgroup);
  return cgroup;
}

function fillCgroup(config: RuntimeConfig, place: CgroupPlace, cgroup: Cgroup): void {
  enableControllers(place.mount, cgroup.path);
  applySettings(
    cgroup,
    place.settings.filter((setting) => !isOfPids(setting)),
  );
  const owner = cgroupOwner(config);
  if (owner !== undefined && process.geteuid?.() === 0) cgroup.delegateTo(owner);
}

/**
 * Sets the device rules of a container's cgroup. Init may be in it already, and nobody else: it does
 * with devices only what the rules that every container has allow.
 *
 * @throws Error in one line when the kernel refuses
 */
export function setDeviceRules(config: RuntimeConfig, cgroup: Cgroup): void {
  applyDeviceRules(cgroup, [...(config.linux?.resources?.devices ?? []), ...DEFAULT_DEVICE_RULES]);
}

/** Only a cgroup or a PID namespace holds a container's processes together. */
function warnOfLooseProcesses(config: RuntimeConfig): void {
  const { namespaces = [] } = config.linux ?? {};
  if (!namespaces.some(({ type }) => type === 'pid'))
    warn(
      'the container has neither a cgroup nor a PID namespace: only its first process can be killed. Such configuration is strongly discouraged  [/linux/namespaces]',
    );
}

/**
 * Limits the number of processes, when init has done its own fork.
 *
 * @throws Error in one line when the kernel refuses
 */
export function limitProcesses({ settings }: CgroupPlace, cgroup: Cgroup): void {
  applySettings(cgroup, settings.filter(isOfPids));
}

function isOfPids({ file }: Setting): boolean {
  return file.startsWith('pids.');
}

/**
 * The host's ID of the user who gets the cgroup (config-linux.md, Cgroup ownership): the user of
 * the process, when it has a cgroup namespace of its own with the hierarchy mounted writable.
 */
function cgroupOwner(config: RuntimeConfig): number | undefined {
  const { namespaces = [], uidMappings = [] } = config.linux ?? {};
  const own = namespaces.some(({ type, path }) => type === 'cgroup' && !path);
  const writable = (config.mounts ?? []).some(
    ({ destination, source, options }) =>
      destination === '/sys/fs/cgroup' && source === 'cgroup' && !options?.includes('ro'),
  );
  const uid = config.process?.user.uid ?? 0;
  if (!own || !writable) return undefined;
  if (!namespaces.some(({ type }) => type === 'user')) return uid;
  const range = uidMappings.find(
    ({ containerID, size }) => uid >= containerID && uid < containerID + size,
  );
  return range === undefined ? undefined : range.hostID + uid - range.containerID;
}
