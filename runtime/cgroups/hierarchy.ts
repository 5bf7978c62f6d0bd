import { MAGIC } from '../linux/constants.ts';
import { fileSystemTypeOf, readFileSync } from '../linux/files.ts';
import { reason } from '../linux/reason.ts';

/** A mounted cgroup v2 hierarchy. */
export interface Hierarchy {
  /** Absolute path of the mount point. */
  readonly mountPoint: string;
  /**
   * The cgroup that is visible at the mount point, by its path in this process's cgroup
   * namespace: `/` unless a part of the hierarchy was bind-mounted.
   */
  readonly root: string;
}

const USUAL_PLACE = '/sys/fs/cgroup';

interface Cgroup2Mount extends Hierarchy {
  readonly readOnly: boolean;
}

/**
 * Finds where cgroup v2 is mounted. The whole hierarchy goes before a part of it, a writable mount
 * before a read-only one, and the usual place before any other.
 *
 * @throws Error in one line when no cgroup v2 hierarchy is mounted, or it may not be looked at
 */
export function findHierarchy(): Hierarchy {
  const mounts = cgroup2Mounts(readFileSync('/proc/self/mountinfo', 'utf8'));
  const rank = ({ readOnly, root, mountPoint }: Cgroup2Mount) =>
    (readOnly ? 4 : 0) + (root === '/' ? 0 : 2) + (mountPoint === USUAL_PLACE ? 0 : 1);
  const failures: string[] = [];
  for (const { mountPoint, root } of mounts.sort((a, b) => rank(a) - rank(b))) {
    try {
      // A mount that a later one hides is still listed: what counts is what the path leads to.
      if (fileSystemTypeOf(mountPoint) === MAGIC.CGROUP2_SUPER) return { mountPoint, root };
    } catch (error) {
      failures.push(`${mountPoint}: ${reason(error)}`);
    }
  }
  if (failures.length > 0)
    throw new Error(`cannot look at the mounted cgroup v2 hierarchy: ${failures.join('; ')}`);
  throw new Error(
    'no cgroup v2 hierarchy is mounted (/proc/self/mountinfo lists no usable mount of type cgroup2): ' +
      'boot with systemd.unified_cgroup_hierarchy=1, or mount one: mount -t cgroup2 cgroup2 /sys/fs/cgroup',
  );
}

/**
 * The mounts of type cgroup2 in the text of a mountinfo file, in its order
 * (proc_pid_mountinfo(5)).
 */
export function cgroup2Mounts(mountinfo: string): Cgroup2Mount[] {
  const mounts: Cgroup2Mount[] = [];
  for (const line of mountinfo.split('\n')) {
    if (!line.includes(' - cgroup2 ')) continue;
    const [, , , root, mountPoint, options] = line.split(' ');
    if (root === undefined || mountPoint === undefined || options === undefined) continue;
    mounts.push({
      mountPoint: unescapeOctal(mountPoint),
      root: unescapeOctal(root),
      readOnly: options.split(',').includes('ro'),
    });
  }
  return mounts;
}

/** mountinfo writes space, tab, newline and backslash as a backslash and three octal digits. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/**
 * The cgroup v2 path in the text of a `/proc/<pid>/cgroup` file, by its path in this
 * process's cgroup namespace (cgroups(7)).
 *
 * @throws Error in one line when the file has no line for cgroup v2
 */
export function unifiedPath(procCgroup: string): string {
  const line = procCgroup.split('\n').find((text) => text.startsWith('0::'));
  if (line === undefined)
    throw new Error(
      'this process is in no cgroup v2 hierarchy (/proc/self/cgroup has no line that starts with "0::"): ' +
        'boot with systemd.unified_cgroup_hierarchy=1',
    );
  return line.slice('0::'.length);
}

/**
 * Scow's own cgroup, as an absolute path from the hierarchy's mount point: `/` is the
 * mount point itself.
 *
 * @throws Error in one line when the mount does not show that cgroup, which happens
 *   when it was made in another cgroup namespace or is a bind mount of another cgroup
 */
export function ownCgroup(hierarchy: Hierarchy): string {
  const own = unifiedPath(readFileSync('/proc/self/cgroup', 'utf8'));
  return pathBelowMount(own, hierarchy);
}

/**
 * Turns a cgroup's path in the cgroup namespace into one from the mount point.
 *
 * @param path as /proc/self/cgroup has it; `/..` stands for an ancestor of the namespace's root
 * @throws Error in one line when the mount does not show that cgroup
 */
export function pathBelowMount(path: string, { mountPoint, root }: Hierarchy): string {
  if (path === root) return '/';
  const prefix = root === '/' ? '/' : `${root}/`;
  const below = path.slice(prefix.length);
  if (!path.startsWith(prefix) || below === '..' || below.startsWith('../'))
    throw new Error(
      `the cgroup v2 mount at ${mountPoint} shows ${root}, but scow itself is in ${path}: ` +
        'give linux.cgroupsPath as an absolute path, or mount cgroup2 in this cgroup namespace',
    );
  return `/${below}`;
}
