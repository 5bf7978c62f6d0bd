import { O } from '../linux/constants.ts';
import { closeSync, openSync, readFileSync, writeSync } from '../linux/files.ts';
import { dirname } from '../linux/path.ts';
import { codeOf } from '../linux/reason.ts';
import { findHierarchy } from './hierarchy.ts';

/**
 * Enables all controllers that there are for the children of each ancestor of a cgroup, down from
 * the mount point (cgroup-v2.rst, Controlling Controllers), as engines expect it who read
 * statistics of containers without limits. What cannot be enabled is left: whoever needs it
 * finds its files missing, and `whyMissing` says why. Nothing is enabled where there are processes.
 *
 * @param mount where the hierarchy is mounted
 * @param path the cgroup, below the mount point
 */
export function enableControllers(mount: string, path: string): void {
  for (const ancestor of ancestors(mount, path)) {
    const enabled = words(ancestor, 'cgroup.subtree_control');
    const missing = words(ancestor, 'cgroup.controllers').filter((name) => !enabled.includes(name));
    if (missing.length === 0 || hasProcesses(ancestor)) continue;
    const all = missing.map((name) => `+${name}`);
    // One that is refused fails the whole line.
    if (enable(ancestor, all.join(' ')) !== undefined) for (const one of all) enable(ancestor, one);
  }
}

/**
 * Why a cgroup has no files of a controller, and what to do about it.
 *
 * @param path the cgroup
 * @returns undefined when the controller is enabled for it: then the kernel has no such file
 */
export function whyMissing(path: string, controller: string): string | undefined {
  if (words(path, 'cgroup.controllers').includes(controller)) return undefined;
  const above = ancestors(findHierarchy().mountPoint, path).find(
    (ancestor) => !words(ancestor, 'cgroup.subtree_control').includes(controller),
  );
  if (above === undefined) return undefined;
  const what = `the ${controller} controller is not enabled in ${above}/cgroup.subtree_control`;
  if (!words(above, 'cgroup.controllers').includes(controller))
    return (
      `${what}, and ${above}/cgroup.controllers does not have it: ` +
      'the kernel lacks it, cgroup v1 has it (boot with systemd.unified_cgroup_hierarchy=1), or it was not ' +
      `delegated to here (systemd: Delegate=${controller})`
    );
  if (hasProcesses(above))
    return `${what}: there are processes in ${above} itself; move them into a cgroup below it`;
  const code = enable(above, `+${controller}`);
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return `${what}: no permission (${code}); delegate it to this user (systemd: Delegate=${controller})`;
  return `${what}: the kernel refuses it${code === undefined ? '' : ` (${code})`}`;
}

/**
 * Whether a cgroup other than the root has processes, or threads alone. Some controllers could be enabled
 * for its children even so (cgroup-v2.rst, Threads): they would be threaded, and take no container.
 */
function hasProcesses(cgroup: string): boolean {
  if (words(cgroup, 'cgroup.type').length === 0) return false;
  try {
    return readFileSync(`${cgroup}/cgroup.procs`, 'latin1') !== '';
  } catch (error) {
    return codeOf(error) === 'EOPNOTSUPP';
  }
}

/** The cgroups above one, outermost first, from the mount point on. */
function ancestors(mount: string, path: string): string[] {
  const list: string[] = [];
  for (let at = dirname(path); at.length >= mount.length; at = dirname(at)) {
    list.unshift(at);
    if (at === '/') break;
  }
  return list;
}

function words(cgroup: string, file: string): string[] {
  try {
    return readFileSync(`${cgroup}/${file}`, 'latin1').split(/\s+/).filter(Boolean);
  } catch {
    return [];
  }
}

/** @returns the errno's name when the kernel refused */
function enable(cgroup: string, controllers: string): string | undefined {
  try {
    const fd = openSync(`${cgroup}/cgroup.subtree_control`, O.WRONLY);
    try {
      writeSync(fd, controllers);
    } finally {
      closeSync(fd);
    }
    return undefined;
  } catch (error) {
    return codeOf(error) ?? 'EINVAL';
  }
}
