import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import type { Cgroup } from '../cgroups/cgroup.ts';
import { codeOf } from '../linux/reason.ts';

/**
 * What calls fail with, and processes end by, whose cgroup gets no more memory. E2BIG is execve's, when
 * there is no page for the arguments.
 */
const SIGNS = ['ENOMEM', 'ENOBUFS', 'E2BIG', 'SIGKILL', 'SIGSEGV', 'SIGBUS'];

/** A cgroup, or what makes one. */
type Limited = Pick<Cgroup, 'path' | 'ranOutOfMemory'>;

/**
 * Tells an error that came of a memory limit as that. Not every one is a kill: execve(2), for one,
 * fails or ends in a signal.
 *
 * @param doing what the memory was too little for, after «to»
 * @param where it was to be done
 * @param config finds the container's configuration, which is only needed for such an error
 * @returns the error itself when it is another one
 */
export function explainMemory(
  error: Error,
  doing: string,
  where: Limited | undefined,
  config: () => RuntimeConfig,
): Error {
  if (!SIGNS.includes(codeOf(error) ?? '') || !where?.ranOutOfMemory()) return error;
  return outOfMemory(error, doing, where, config());
}

/** What was being done stays in the message; what asked for that is not to blame. */
function outOfMemory(cause: Error, doing: string, where: Limited, config: RuntimeConfig): Error {
  const what = cause.message.replace(/ {2}\[\/[^\]]*\]$/, '');
  const pointer = limitOf(config);
  const message =
    pointer === undefined
      ? `a cgroup above ${where.path} has too small a memory limit to ${doing}: ${what}`
      : `the memory limit is too small to ${doing}: ${what}  [${pointer}]`;
  return new Error(message, { cause });
}

/** JSON pointer of the container's own limit. */
function limitOf({ linux }: RuntimeConfig): string | undefined {
  const { memory, unified } = linux?.resources ?? {};
  if (Number(memory?.limit ?? 0) > 0) return '/linux/resources/memory/limit';
  return unified?.['memory.max'] === undefined ? undefined : '/linux/resources/unified/memory.max';
}
