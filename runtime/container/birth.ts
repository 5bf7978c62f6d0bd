import { type Cgroup, REMOVED, refusalOf } from '../cgroups/cgroup.ts';
import { reason } from '../linux/reason.ts';
import { SyscallError } from '../linux/syscall.ts';

/** Errors of clone3(2) that are about the cgroup that a process is to be born in. */
const OF_CGROUP = ['EBUSY', 'EOPNOTSUPP', 'EACCES', 'ENODEV'];

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: ': there are as many as the limits in /proc/sys/user allow',
  EPERM: ': it takes CAP_SYS_ADMIN, or a user namespace',
};

/**
 * Why init could not be born, which is in its namespaces and its cgroup, in one line.
 *
 * @returns the error itself when it is another one
 */
export function explainBirth(cause: Error, cgroup: Cgroup | undefined): Error {
  if (!(cause instanceof SyscallError)) return cause;
  if (cgroup !== undefined && cause.args.includes(cgroup.path) && !cgroup.exists()) {
    const message = `cannot start init in cgroup ${cgroup.path}: ${REMOVED}  [/linux/cgroupsPath]`;
    return new Error(message, { cause });
  }
  if (cause.syscall !== 'clone3') return cause;
  const message =
    cgroup !== undefined && OF_CGROUP.includes(cause.code)
      ? `cannot start init in cgroup ${cgroup.path} (clone3): ${refusalOf(cause)}  [/linux/cgroupsPath]`
      : `cannot start init in new namespaces (clone3): ${reason(cause)}${HINTS[cause.code] ?? ''}  [/linux/namespaces]`;
  return Object.assign(new Error(message, { cause }), { code: cause.code });
}
