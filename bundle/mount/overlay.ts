import { closeSync, constants, openSync } from 'node:fs';
import {
  AT,
  FSCONFIG,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOVE_MOUNT_F_EMPTY_PATH,
} from '../../runtime/linux/constants.ts';
import { errnoCode } from '../../runtime/linux/errno.ts';
import { batch, type Call, SyscallError, syscall } from '../../runtime/linux/syscall.ts';

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
  const held: number[] = [];
  try {
    const calls = layerByLayerCalls(overlay, target, held, 0);
    const results = batch(calls);
    for (const [i, result] of results.entries())
      if (result >= 0 && OPENING.includes((calls[i] as Call).name)) held.push(result);
    return outcome(calls, results);
  } finally {
    for (const fd of held) closeSync(fd);
  }
}

/** Calls that give a descriptor. */
const OPENING: readonly string[] = ['fsopen', 'fsmount'];

/** @returns false where the kernel does not understand @throws SyscallError for what else failed */
function outcome(calls: readonly Call[], results: readonly number[]): boolean {
  const result = results.at(-1) ?? 0;
  if (result >= 0) return true;
  const { name, args } = calls[results.length - 1] as Call;
  // Before Linux 6.5 all options are looked at only when the mount is made.
  if (name === 'fsconfig' && result === -EINVAL) return false;
  throw new SyscallError(name, args, -result);
}

/**
 * The calls that mount an overlay with fsconfig(2). Each ends the list when it fails.
 *
 * @param held gets the descriptors that must stay open meanwhile
 * @param first the place of the first call in its list
 */
export function layerByLayerCalls(
  { lower, upper, work, userXattrs }: Overlay,
  target: string,
  held: number[],
  first: number,
): Call[] {
  const context = { resultOf: first };
  const set = (key: string, value: string): Call => ({
    name: 'fsconfig',
    args: [context, FSCONFIG.SET_STRING, key, value, 0],
    stopOnError: true,
  });
  const flag = (key: string): Call => ({
    name: 'fsconfig',
    args: [context, FSCONFIG.SET_FLAG, key, 0, 0],
    stopOnError: true,
  });
  const calls: Call[] = [
    { name: 'fsopen', args: ['overlay', FSOPEN_CLOEXEC], stopOnError: true },
    ...lower.toReversed().map((path) => set('lowerdir+', shortened(path, held))),
    set('source', 'overlay'),
    set('upperdir', shortened(upper, held)),
    set('workdir', shortened(work, held)),
    ...(userXattrs ? [flag('userxattr')] : OFF.map((name) => set(name, 'off'))),
    { name: 'fsconfig', args: [context, FSCONFIG.CMD_CREATE, 0, 0, 0], stopOnError: true },
    { name: 'fsmount', args: [context, FSMOUNT_CLOEXEC, 0], stopOnError: true },
  ];
  const mount = { resultOf: first + calls.length - 1 };
  return [
    ...calls,
    {
      name: 'move_mount',
      args: [mount, '', AT.FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH],
      stopOnError: true,
    },
  ];
}

/**
 * Mounts an overlay with mount(2), which takes no more than a page of options: the layers are
 * named by descriptors, whose paths are short.
 *
 * @throws SyscallError
 */
export function mountAtOnce(overlay: Overlay, target: string): void {
  const held: number[] = [];
  try {
    const { name, args } = atOnceCall(overlay, target, held);
    syscall(name, ...args);
  } finally {
    for (const fd of held) closeSync(fd);
  }
}

/** The call that mounts an overlay with mount(2). @param held see `layerByLayerCalls` */
export function atOnceCall(
  { lower, upper, work, userXattrs }: Overlay,
  target: string,
  held: number[],
): Call {
  const [top, bottom, ...layers] = [upper, work, ...lower.toReversed()].map((path) =>
    byDescriptor(path, held),
  );
  const options = [
    `lowerdir=${layers.join(':')},upperdir=${top},workdir=${bottom}`,
    ...(userXattrs ? ['userxattr'] : OFF.map((name) => `${name}=off`)),
  ];
  const args = ['overlay', target, 'overlay', 0, options.join(',')];
  return { name: 'mount', args, stopOnError: true };
}

function shortened(path: string, held: number[]): string {
  return Buffer.byteLength(path) < LONGEST_VALUE ? path : byDescriptor(path, held);
}

function byDescriptor(path: string, held: number[]): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  held.push(fd);
  return `/proc/self/fd/${fd}`;
}
