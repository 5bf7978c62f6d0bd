import { dirname, join } from '../linux/path.ts';
import { type Hierarchy, ownCgroup } from './hierarchy.ts';

/** What decides where a container's cgroup is. */
export interface CgroupPathRequest {
  /** The container's ID. */
  readonly id: string;
  /** `linux.cgroupsPath`; empty is the same as absent. */
  readonly cgroupsPath?: string | undefined;
}

/**
 * The path of a container's cgroup from the hierarchy's mount point, beginning with a
 * slash (config-linux.md, Cgroups Path).
 *
 * An absolute `cgroupsPath` starts at the mount point. A relative one, and the ID when
 * there is none, starts beside scow's own cgroup, as in runc: scow's own has processes
 * in it, so controllers could not be enabled for its children.
 *
 * @throws Error in one line for a path that has `..` in it or names no cgroup below the
 *   root
 */
export function containerCgroupPath(request: CgroupPathRequest, hierarchy: Hierarchy): string {
  const asked = request.cgroupsPath || request.id;
  const components = asked.split('/').filter((name) => name !== '' && name !== '.');
  const refuse = (why: string) =>
    new Error(`linux.cgroupsPath ${JSON.stringify(asked)} ${why}  [/linux/cgroupsPath]`);
  if (components.includes('..'))
    throw refuse('contains "..": name the cgroup by its path without it');
  if (components.length === 0) throw refuse('names no cgroup below the root of the hierarchy');
  if (/[\n\0]/.test(asked)) throw refuse('contains a newline or NUL, which no cgroup may have');
  const start = asked.startsWith('/') ? '/' : dirname(ownCgroup(hierarchy));
  return join(start, ...components);
}
