import { Cgroup } from '../cgroups/cgroup.ts';
import { NS_GET_PARENT, O } from '../linux/constants.ts';
import { closeSync, listSync, openSync, readFileSync, readlinkSync } from '../linux/files.ts';
import { trySyscall } from '../linux/syscall.ts';
import { isAlive } from './process.ts';
import { type ContainerState, initOf } from './state.ts';

/**
 * The PIDs of a container's processes, those that were brought in by `exec` and those in cgroups
 * that it made included. Without a cgroup they are found by its PID namespace.
 *
 * @returns none when the container has stopped
 * @throws Error in one line when the container has neither
 */
export function processesOf(state: ContainerState): number[] {
  if (state.cgroup !== null) return Cgroup.at(state.cgroup).processes({ recursive: true });
  if (!isAlive(initOf(state))) return [];
  if (!state.ownPidNamespace)
    throw new Error(
      `cannot tell which processes are of container ${JSON.stringify(state.id)}: ` +
        'it has no cgroup and no PID namespace of its own',
    );
  const namespace = linkOf(`/proc/${state.pid}/ns/pid`);
  return namespace === undefined ? familyOf(state.pid) : membersOf(namespace);
}

/** @param namespace what the link of a PID namespace says, namespaces(7) */
function membersOf(namespace: string): number[] {
  const own = linkOf('/proc/self/ns/pid');
  return allPids().filter((pid) => isWithin(`/proc/${pid}/ns/pid`, namespace, own));
}

/**
 * A process and its descendants. An ordinary user may not look at the namespaces of a process that
 * is not dumpable, such as an init that waits for its start (ptrace(2)); who its parent is all may.
 */
function familyOf(eldest: number): number[] {
  const pids = allPids();
  const parents = new Map(pids.map((pid) => [pid, parentOf(pid)]));
  return pids.filter((pid) => {
    let ancestor: number | undefined = pid;
    // No line of parents is longer than this, but in a look while PIDs change hands.
    for (let i = 0; ancestor && ancestor !== eldest && i < pids.length; i++)
      ancestor = parents.get(ancestor);
    return ancestor === eldest;
  });
}

function allPids(): number[] {
  return listSync('/proc')
    .filter(({ name }) => /^\d+$/.test(name))
    .map(({ name }) => Number(name));
}

/** @returns undefined when the process is gone */
function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  } catch {
    return undefined;
  }
}

/** Whether a PID namespace is the wanted one or below it. It is not when it may not be looked at. */
function isWithin(file: string, wanted: string, own: string | undefined): boolean {
  const link = linkOf(file);
  if (link === undefined || link === own) return false;
  if (link === wanted) return true;
  let namespace = openNamespace(file);
  while (namespace >= 0) {
    const found = linkOf(`/proc/self/fd/${namespace}`);
    // Of a namespace above our own the kernel tells nothing: EPERM.
    const parent = found === wanted ? -1 : trySyscall('ioctl', namespace, NS_GET_PARENT, 0);
    closeSync(namespace);
    if (found === wanted) return true;
    namespace = parent;
  }
  return false;
}

/** @returns -1 when the process is gone or another user's */
function openNamespace(file: string): number {
  try {
    return openSync(file, O.RDONLY | O.CLOEXEC);
  } catch {
    return -1;
  }
}

/** @returns undefined when the process is gone or another user's */
function linkOf(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch {
    return undefined;
  }
}
