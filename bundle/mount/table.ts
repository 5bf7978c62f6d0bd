import { readFileSync } from 'node:fs';
import { MNT_DETACH, UMOUNT_NOFOLLOW } from '../../runtime/linux/constants.ts';
import { errnoCode } from '../../runtime/linux/errno.ts';
import { SyscallError, trySyscall } from '../../runtime/linux/syscall.ts';

const EINVAL = errnoCode('EINVAL');
const ENOENT = errnoCode('ENOENT');

/** A mount as a process sees it: proc_pid_mountinfo(5). */
export interface Mount {
  /** Where it is, an absolute path without symbolic links. */
  readonly point: string;
  readonly type: string;
}

/** The mounts at a path and below it, in the order in which they were made. */
export function mountsAt(path: string): Mount[] {
  return readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.split(' ');
      return {
        point: decode(fields[4] as string),
        type: fields[fields.indexOf('-') + 1] as string,
      };
    })
    .filter(({ point }) => point === path || point.startsWith(`${path}/`));
}

/**
 * Takes all mounts below a directory away.
 *
 * @param directory an absolute path without symbolic links
 * @throws SyscallError
 */
export function unmountBelow(directory: string): void {
  for (const { point } of mountsAt(directory).toReversed()) if (point !== directory) unmount(point);
}

/** Takes a mount away, with what is mounted below it. @throws SyscallError */
export function unmount(target: string): void {
  const result = trySyscall('umount2', target, MNT_DETACH | UMOUNT_NOFOLLOW);
  // It went with one that it was below of.
  if (result < 0 && result !== -EINVAL && result !== -ENOENT)
    throw new SyscallError('umount2', [target], -result);
}

/** Blanks and backslashes are written as octal numbers. */
function decode(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString();
}
