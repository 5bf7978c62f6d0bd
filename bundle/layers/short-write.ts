import type { CallTable } from '../../runtime/linux/call-table.ts';
import { O } from '../../runtime/linux/constants.ts';
import { trySyscall } from '../../runtime/linux/syscall.ts';
import type { Handle } from './gathered.ts';

/**
 * Finds out why a write took less than it was given (a full disk, a quota, a limit on the size
 * of files): the kernel tells it only to the next write, so that is tried.
 *
 * @param table calls that were made, whose addresses still hold
 * @param call the one that wrote less
 * @param handle the file
 * @param opened whether the table has the call that opened it
 * @returns an errno; undefined when it can't be found out, or the next write succeeds
 */
export function whyShort(
  table: CallTable,
  call: number,
  handle: Handle,
  opened: boolean,
): number | undefined {
  const [address, length, offset] = [1, 2, 3].map((i) => table.argument(call, i)) as Extent;
  const written = table.result(call);
  const file = handle.fd >= 0 || !opened ? handle.fd : reopen(table, handle.resultOf);
  if (file < 0) return undefined;
  const at = [address + written, length - written, offset + written] as const;
  const result = trySyscall('pwrite64', file, ...at);
  if (file !== handle.fd) trySyscall('close', file);
  return result < 0 ? -result : undefined;
}

type Extent = [address: number, length: number, offset: number];

/** Opens a file again, by what opened it first. @returns a descriptor, or less than 0 */
function reopen(table: CallTable, opener: number): number {
  const parent = table.argument(opener, 0);
  const name = table.argument(opener, 1);
  return trySyscall('openat', parent, name, O.WRONLY | O.NOFOLLOW | O.NONBLOCK | O.CLOEXEC, 0);
}
