import { S } from '../../../runtime/linux/constants.ts';
import { trySyscall } from '../../../runtime/linux/syscall.ts';
import { overlayPrefix, type Privileges } from '../privileges.ts';

/**
 * How a layer says, to an overlay mount, what it hides of those below it (Linux,
 * Documentation/filesystems/overlayfs.rst: “whiteouts and opaque directories”).
 */
export interface OverlayFormat {
  /** The attribute of an opaque directory. */
  readonly opaque: string;
  /** The attribute of a file that is a whiteout, where devices 0:0 can't be made. */
  readonly whiteout: string;
}

/** The value of `opaque` that hides all. */
export const OPAQUE_ALL = 'y';
/** The value that has the kernel look for files which are whiteouts (since Linux 6.7). */
export const OPAQUE_WHITEOUTS = 'x';

/** The format that mounts with these privileges read: those of others than root want `userxattr`. */
export function overlayFormat(privileges: Privileges): OverlayFormat {
  const prefix = overlayPrefix(privileges);
  return { opaque: `${prefix}opaque`, whiteout: `${prefix}whiteout` };
}

/** Whether whiteouts can be made as devices in a directory: anybody may, since Linux 5.8. */
export function takesWhiteoutDevices(directory: number): boolean {
  const name = '.scow-whiteout';
  const made = trySyscall('mknodat', directory, name, S.IFCHR, 0) === 0;
  if (made) trySyscall('unlinkat', directory, name, 0);
  return made;
}
