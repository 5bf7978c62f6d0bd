import { closeSync, constants, openSync } from 'node:fs';
import {
  AT,
  FSCONFIG,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOVE_MOUNT_F_EMPTY_PATH,
} from '../../runtime/linux/constants.ts';
import { errnoCode } from '../../runtime/linux/errno.ts';
import { SyscallError, syscall, trySyscall } from '../../runtime/linux/syscall.ts';

/** The layers of an overlay mount: overlayfs, in the kernel's Documentation/filesystems. */
export interface Overlay {
  /** Directories that are only read, the lowest first. */
  readonly lower: readonly string[];
  /** The directory that takes all changes. */
  readonly upper: string;
  /** An empty directory on the same file system. */
  readonly work: string;
  /** For layers whose marks are attributes that ordinary users may set. */
  readonly userXattrs: boolean;
}

/**
 * What is not wanted, even where the kernel is configured to do it: an upper directory that
 * depends on attributes which only the kernel understands could not become a layer of an image.
 */
const OFF = ['redirect_dir', 'metacopy', 'index'] as const;

/** The kernel takes no longer values of mount options through fsconfig(2), in bytes with the NUL. */
const LONGEST_VALUE = 256;

const EINVAL = errnoCode('EINVAL');

/**
 * Mounts an overlay.
 *
 * @param target an existing directory
 * @throws Error of the system call that failed
 */
export function mountOverlay(overlay: Overlay, target: string): void {
  if (!mountLayerByLayer(overlay, target)) mountAtOnce(overlay, target);
}

/**
 * Mounts an overlay of any number of layers with fsconfig(2).
 *
 * @returns whether the kernel can do that (since Linux 6.8), with this upper directory
 * @throws SyscallError
 */
export function mountLayerByLayer(overlay: Overlay, target: string): boolean {
  const { lower, upper, work, userXattrs } = overlay;
  const context = syscall('fsopen', 'overlay', FSOPEN_CLOEXEC);
  const held: number[] = [];
  try {
    const set = (key: string, value: string) =>
      trySyscall('fsconfig', context, FSCONFIG.SET_STRING, key, value, 0);
    for (const path of lower.toReversed()) {
      const result = set('lowerdir+', shortened(path, held));
      if (result === -EINVAL) return false;
      if (result < 0) throw new SyscallError('fsconfig', ['lowerdir+', path], -result);
    }
    const options = [
      ['source', 'overlay'],
      ['upperdir', shortened(upper, held)],
      ['workdir', shortened(work, held)],
      ...(userXattrs ? [] : OFF.map((name) => [name, 'off'] as const)),
    ] as const;
    for (const [key, value] of options) check(set(key, value), key, value);
    if (userXattrs)
      check(trySyscall('fsconfig', context, FSCONFIG.SET_FLAG, 'userxattr', 0, 0), 'userxattr');
    const created = trySyscall('fsconfig', context, FSCONFIG.CMD_CREATE, 0, 0, 0);
    // Before Linux 6.5 all options are looked at only now.
    if (created === -EINVAL) return false;
    check(created, 'create');
    attach(syscall('fsmount', context, FSMOUNT_CLOEXEC, 0), target);
    return true;
  } finally {
    for (const fd of [context, ...held]) closeSync(fd);
  }
}

/**
 * Mounts an overlay with mount(2), which takes no more than a page of options: the layers are
 * named by descriptors, whose paths are short.
 *
 * @throws SyscallError
 */
export function mountAtOnce({ lower, upper, work, userXattrs }: Overlay, target: string): void {
  const held: number[] = [];
  try {
    const [top, bottom, ...layers] = [upper, work, ...lower.toReversed()].map((path) =>
      byDescriptor(path, held),
    );
    const options = [
      `lowerdir=${layers.join(':')},upperdir=${top},workdir=${bottom}`,
      ...(userXattrs ? ['userxattr'] : OFF.map((name) => `${name}=off`)),
    ];
    syscall('mount', 'overlay', target, 'overlay', 0, options.join(','));
  } finally {
    for (const fd of held) closeSync(fd);
  }
}

function attach(mount: number, target: string): void {
  try {
    syscall('move_mount', mount, '', AT.FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
  } finally {
    closeSync(mount);
  }
}

function shortened(path: string, held: number[]): string {
  return Buffer.byteLength(path) < LONGEST_VALUE ? path : byDescriptor(path, held);
}

function byDescriptor(path: string, held: number[]): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  held.push(fd);
  return `/proc/self/fd/${fd}`;
}

function check(result: number, ...what: readonly string[]): void {
  if (result < 0) throw new SyscallError('fsconfig', what, -result);
}
