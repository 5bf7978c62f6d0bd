import type { NamespaceType } from '../../schemas/runtime-config.ts';
import { O } from '../linux/constants.ts';
import { openSync, statIfThere, statSync } from '../linux/files.ts';
import { codeOf, reason } from '../linux/reason.ts';

/** Namespaces by their names below /proc/PID/ns, namespaces(7). */
const FILES: readonly (readonly [NamespaceType, string])[] = [
  ['user', 'user'],
  ['mount', 'mnt'],
  ['uts', 'uts'],
  ['ipc', 'ipc'],
  ['pid', 'pid'],
  ['cgroup', 'cgroup'],
  ['network', 'net'],
  ['time', 'time'],
];

/**
 * The namespaces that a process does not share with this one.
 *
 * @throws Error in one line when this process may not know
 */
export function namespacesApart(pid: number): NamespaceType[] {
  return FILES.filter(([, file]) => isApart(pid, file)).map(([type]) => type);
}

function isApart(pid: number, file: string): boolean {
  const own = statIfThere(`/proc/self/ns/${file}`);
  // The kernel has no namespaces of this type.
  if (own === undefined) return false;
  try {
    return statSync(`/proc/${pid}/ns/${file}`).identity !== own.identity;
  } catch (cause) {
    const hint =
      codeOf(cause) === 'EACCES'
        ? ': before its start only root may enter such a container, later also its owner, from the user namespace that it was made in'
        : '';
    throw new Error(`cannot find the container's namespaces: ${reason(cause)}${hint}`, { cause });
  }
}

/**
 * Opens the root directory of a process. The caller closes it.
 *
 * @throws SyscallError when there is no such process, or this one may not know
 */
export function openRootOf(pid: number): number {
  return openSync(`/proc/${pid}/root`, O.PATH | O.DIRECTORY | O.CLOEXEC);
}
