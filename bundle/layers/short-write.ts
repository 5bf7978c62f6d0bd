import { O } from '../../runtime/linux/constants.ts';
import {
  type Argument,
  type Call,
  type ResultOf,
  tableResult,
  trySyscall,
} from '../../runtime/linux/syscall.ts';

/**
 * Finds out why a write took less than it was given (a full disk, a quota, a limit on the size
 * of files): the kernel tells it only to the next write, so that is tried.
 *
 * @param calls a batch that was made, whose addresses still hold
 * @param index the call that wrote less
 * @param fd the file's descriptor, -1 when the batch closed it
 * @param opener the call of the batch that opened the file, -1 when an earlier one did
 * @returns an errno; undefined when it can't be found out, or the next write succeeds
 */
export function whyShort(
  calls: readonly Call[],
  results: readonly number[],
  index: number,
  fd: number,
  opener: number,
): number | undefined {
  const [, address, length, offset] = (calls[index] as Call).args as number[];
  const written = results[index] as number;
  const file = fd >= 0 ? fd : reopen(calls, results, opener);
  if (file < 0) return undefined;
  const result = trySyscall(
    'pwrite64',
    file,
    (address as number) + written,
    (length as number) - written,
    (offset as number) + written,
  );
  if (file !== fd) trySyscall('close', file);
  return result < 0 ? -result : undefined;
}

/** Opens a file again, by what opened it first. @returns a descriptor, or less than 0 */
function reopen(calls: readonly Call[], results: readonly number[], opener: number): number {
  if (opener < 0) return -1;
  const [directory, name] = (calls[opener] as Call).args as [Argument, Argument];
  const parent =
    typeof directory === 'object' && 'resultOf' in directory
      ? resultOf(directory, results)
      : directory;
  return trySyscall('openat', parent, name, O.WRONLY | O.NOFOLLOW | O.NONBLOCK | O.CLOEXEC, 0);
}

function resultOf({ resultOf: call, table }: ResultOf, results: readonly number[]): number {
  return table === undefined ? (results[call] as number) : tableResult(table, call);
}
