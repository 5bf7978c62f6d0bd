import type { Run } from '../linux/elsewhere.ts';
import { errnoCode } from '../linux/errno.ts';
import { SyscallError } from '../linux/syscall.ts';

const LONGEST_LIST = 65_536;
const LONGEST_VALUE = 65_536;

/** A label is what the mount's option makes of it, or the policy. */
const NOT_COPIED = 'security.selinux\0';

/** What a filesystem answers that has no such attribute, or where nobody may set it. */
const REFUSALS = ['EOPNOTSUPP', 'EPERM'].map((name) => -errnoCode(name));

/**
 * Copies extended attributes (xattr(7)) that the other filesystem can have too.
 *
 * @param run makes the system calls
 * @throws SyscallError
 */
export function copyXattrs(run: Run, from: number, into: number): void {
  const list = Buffer.alloc(LONGEST_LIST);
  const filled = run([{ name: 'flistxattr', args: [from, list, list.length] }])[0] as number;
  for (let at = 0; at < filled; ) {
    const end = list.indexOf(0, at) + 1;
    const name = Uint8Array.prototype.slice.call(list, at, end);
    at = end;
    if (Buffer.from(name).toString('latin1') === NOT_COPIED) continue;
    const value = Buffer.alloc(LONGEST_VALUE);
    const read = { name: 'fgetxattr', args: [from, name, value, value.length] } as const;
    const length = run([read])[0] as number;
    if (length < 0) continue;
    const set = run([{ name: 'fsetxattr', args: [into, name, value, length, 0] }])[0] as number;
    if (set < 0 && !REFUSALS.includes(set)) throw new SyscallError('fsetxattr', [into], -set);
  }
}
