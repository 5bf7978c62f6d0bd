import { Cgroup, refusalOf } from '../cgroups/cgroup.ts';
import { findHierarchy, pathBelowMount, unifiedPath } from '../cgroups/hierarchy.ts';
import { readFileSync } from '../linux/files.ts';
import { join, relative } from '../linux/path.ts';
import { reason } from '../linux/reason.ts';
import { SyscallError } from '../linux/syscall.ts';
import { KilledAtBirth } from './init-process.ts';
import { debug } from './log.ts';
import type { ContainerState } from './state.ts';

/** clone3(2): the cgroup takes no processes, because its children have controllers or threads. */
const TAKES_NONE = ['EBUSY', 'EOPNOTSUPP'];
const GONE = ['ENOENT', 'ENODEV'];
const FORBIDDEN = ['EACCES', 'EPERM'];

/** Where a process that joins a container begins. */
export interface Placement {
  /** The cgroup to be born in. */
  readonly birthplace?: Cgroup;
  /**
   * The cgroup to be moved into at the last moment: its processes stand still, and whoever
   * waited for a process that is born there would stand still with it.
   */
  readonly later?: Cgroup;
  /** Brings the process where it could not be born, before it does anything. */
  readonly join?: (pid: number) => void;
}

/** Has systemd move a process into a cgroup below a container's own, by its path from there. */
export type Attach = (below: string, pid: number) => void;

/**
 * Starts a process in a container's cgroup, or in that of its init where the container's own
 * takes no processes, because they were moved below it, or is gone.
 *
 * @param path of a cgroup below the container's, `--cgroup`: that one and no other
 * @param attach the way into the container's cgroup for who may not move processes there
 * @param start called with one place after another until it does not throw for a cgroup's sake
 * @throws Error in one line
 */
export function startInCgroup<T>(
  { cgroup, pid }: ContainerState,
  path: string | undefined,
  attach: Attach | undefined,
  start: (place: Placement) => T,
): T {
  const startThere = (there: Cgroup) => {
    try {
      return startIn(there, start);
    } catch (error) {
      if (!isAbout(error, FORBIDDEN) || attach === undefined || cgroup === null) throw error;
      const from = relative(cgroup, there.path);
      return start({ join: (child) => attach(`/${from}`, child) });
    }
  };
  if (path !== undefined) return startThere(below(cgroup, path));
  if (cgroup === null) return start({});
  try {
    return startThere(Cgroup.at(cgroup));
  } catch (error) {
    const inits = isAbout(error, [...TAKES_NONE, ...GONE]) ? cgroupOfInit(pid) : undefined;
    if (inits !== undefined) {
      debug(`${(error as Error).message}: starting in the cgroup of init, ${inits.path}`);
      return startThere(inits);
    }
    // Another session of an ordinary user may have no right to move processes there.
    if (!isAbout(error, FORBIDDEN) || process.geteuid?.() === 0) throw error;
    debug(`${(error as Error).message}: starting outside of the container's cgroup`);
    return start({});
  }
}

function startIn<T>(cgroup: Cgroup, start: (place: Placement) => T): T {
  if (cgroup.frozenBy() !== undefined) return start({ later: cgroup });
  try {
    return start({ birthplace: cgroup });
  } catch (cause) {
    // The kernel kills what is born in a cgroup that was killed once, but not what moves there.
    if (cause instanceof KilledAtBirth && !cgroup.ranOutOfMemory()) return start({ later: cgroup });
    if (refusesBirth(cause, cgroup)) throw new CannotStartThere(cgroup, cause);
    throw cause;
  }
}

/** The errno of a cgroup that a process can't be born in. */
class CannotStartThere extends Error {
  readonly code: string;

  constructor(cgroup: Cgroup, cause: SyscallError) {
    super(`cannot start a process in cgroup ${cgroup.path}: ${refusalOf(cause)}`, { cause });
    this.code = cause.code;
  }
}

function refusesBirth(error: unknown, { path }: Cgroup): error is SyscallError {
  return (
    error instanceof SyscallError &&
    (error.syscall === 'clone3' || (error.syscall === 'openat' && error.args.includes(path)))
  );
}

function isAbout(error: unknown, codes: readonly string[]): boolean {
  return error instanceof CannotStartThere && codes.includes(error.code);
}

/** A cgroup below another. @throws Error for a path that leads out of it */
function below(cgroup: string | null, path: string): Cgroup {
  const wrong = (why: string) => new Error(`--cgroup ${path}: ${why}`);
  if (cgroup === null) throw wrong('the container has no cgroup of its own');
  if (path.includes(':'))
    throw wrong('give a path alone, for cgroup v2 has all controllers in one');
  const components = path.split('/').filter((name) => name !== '' && name !== '.');
  if (components.includes('..'))
    throw wrong("it must not contain «..»: it is a path below the container's cgroup");
  return Cgroup.at(join(cgroup, ...components));
}

/** Where init is now; undefined when that can't be seen from here. */
function cgroupOfInit(pid: number): Cgroup | undefined {
  try {
    const hierarchy = findHierarchy();
    const path = pathBelowMount(
      unifiedPath(readFileSync(`/proc/${pid}/cgroup`, 'utf8')),
      hierarchy,
    );
    return Cgroup.at(join(hierarchy.mountPoint, path));
  } catch (error) {
    debug(`cannot find the cgroup of init: ${reason(error)}`);
    return undefined;
  }
}
