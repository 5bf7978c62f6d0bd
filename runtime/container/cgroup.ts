import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { applySettings } from '../cgroups/apply.ts';
import { applyDeviceRules } from '../cgroups/attach.ts';
import type { Cgroup } from '../cgroups/cgroup.ts';
import { enableControllers } from '../cgroups/controllers.ts';
import { createCgroup, NoCgroupAccess, removeCreated } from '../cgroups/create.ts';
import { DEFAULT_DEVICE_RULES } from '../cgroups/devices.ts';
import { findHierarchy, ownCgroup } from '../cgroups/hierarchy.ts';
import { containerCgroupPath } from '../cgroups/path.ts';
import { type Setting, settingsOf } from '../cgroups/settings.ts';
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
}

/** Who makes a container's cgroup; `disabled`: nobody does. */
export type CgroupManager = 'cgroupfs' | 'disabled';

/**
 * Finds where a container's cgroup belongs.
 *
 * @returns undefined when there is none, and none is to be made
 * @throws Error in one line when there is no cgroup v2, or the configured path is no path
 */
export function placeCgroup(
  config: RuntimeConfig,
  id: string,
  manager: CgroupManager,
): CgroupPlace | undefined {
  if (manager === 'disabled') return ownPlace();
  const hierarchy = findHierarchy();
  const { cgroupsPath, resources } = config.linux ?? {};
  const path = containerCgroupPath({ id, cgroupsPath, systemd: false }, hierarchy);
  return {
    mount: hierarchy.mountPoint,
    path,
    shared: false,
    optional:
      !cgroupsPath &&
      (resources?.devices ?? []).every(({ allow }) => !allow) &&
      settingsOf(resources ?? {}).length === 0,
  };
}

/** Where scow itself is, as far as that can be seen. */
function ownPlace(): CgroupPlace | undefined {
  try {
    const hierarchy = findHierarchy();
    const path = ownCgroup(hierarchy);
    return { mount: hierarchy.mountPoint, path, shared: true, optional: true };
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
 * Makes a container's cgroup and sets its limits and device rules, but for the number of processes.
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
    const limits = settingsIn(config);
    if (limits.length > 0)
      warn(`without a cgroup, by --cgroup-manager disabled, ${limits[0]?.pointer} has no effect`);
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
  enableControllers(place.mount, cgroup.path);
  applySettings(
    cgroup,
    settingsIn(config).filter((setting) => !isOfPids(setting)),
  );
  applyDeviceRules(cgroup, [...(config.linux?.resources?.devices ?? []), ...DEFAULT_DEVICE_RULES]);
  const owner = cgroupOwner(config);
  if (owner !== undefined && process.geteuid?.() === 0) cgroup.delegateTo(owner);
  return cgroup;
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
export function limitProcesses(config: RuntimeConfig, cgroup: Cgroup): void {
  applySettings(cgroup, settingsIn(config).filter(isOfPids));
}

function isOfPids({ file }: Setting): boolean {
  return file.startsWith('pids.');
}

function settingsIn(config: RuntimeConfig): Setting[] {
  return settingsOf(config.linux?.resources ?? {});
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
