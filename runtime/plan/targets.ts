import {
  AT,
  MAGIC,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O,
  RESOLVE,
  S,
} from '../linux/constants.ts';
import {
  call,
  type Flags,
  flags,
  type Origin,
  place,
  type Result,
  result,
  type Step,
  type Struct,
  struct,
  type Value,
} from './step.ts';

/** The root filesystem's mount, whose descriptor confines every path of the container. */
export const ROOT = result('root');

const DIRECTORY_MODE = 0o755;
const FILE_MODE = 0o644;

/** `struct open_how` of openat2(2), confined to the root filesystem. */
function confined(open: Flags, symlinks: 'follow' | 'refuse'): Struct {
  const resolve =
    symlinks === 'follow'
      ? flags('RESOLVE', RESOLVE, 'IN_ROOT', 'NO_MAGICLINKS')
      : flags('RESOLVE', RESOLVE, 'IN_ROOT', 'NO_MAGICLINKS', 'NO_SYMLINKS');
  return struct('open_how', ['flags', 8, open], ['mode', 8, 0], ['resolve', 8, resolve]);
}

/** One structure for each way to open: a plan opens dozens of paths in two or three ways. */
type Structs = Map<Flags['flags'], Struct>;
const confinedAs: Readonly<Record<'follow' | 'refuse', Structs>> = {
  follow: new Map(),
  refuse: new Map(),
};

function how(open: Flags, symlinks: 'follow' | 'refuse'): Struct {
  let found = confinedAs[symlinks].get(open.flags);
  if (found === undefined) {
    found = confined(open, symlinks);
    confinedAs[symlinks].set(open.flags, found);
  }
  return found;
}

/** The size of `struct open_how`, version 0. */
export const OPEN_HOW_SIZE = 24;

/** A path of the container as openat2 wants it: relative to the root's descriptor. */
export function relative(path: string): string {
  // Most paths have no component that is empty, or stands for its directory.
  if (path.startsWith('/') && !path.endsWith('/') && !path.includes('//') && !path.includes('/.'))
    return path.slice(1);
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return parts.length === 0 ? '.' : parts.join('/');
}

/**
 * Opens a path inside the root filesystem, with symlinks that cannot leave it.
 *
 * @param path a result is relative to the root already
 */
export function openInRoot(
  path: string | Result,
  open: Flags,
  origin: Origin & { readonly result: string; readonly tolerate?: readonly string[] },
  symlinks: 'follow' | 'refuse' = 'follow',
): Step {
  const below = typeof path === 'string' ? relative(path) : path;
  return call('openat2', [ROOT, below, how(open, symlinks), OPEN_HOW_SIZE], {
    // A rename in the root filesystem during the walk: the kernel cannot tell whether it was safe.
    retry: ['EAGAIN', 'EINTR'],
    ...origin,
  });
}

/** A place to be opened, and made when it is missing. */
export interface Target {
  /** Path in the container. */
  readonly path: string;
  /** The same without symlinks, as far as it exists. */
  readonly resolved: string;
  readonly type: 'directory' | 'file';
  readonly symlinks?: 'follow' | 'refuse';
  /** A symlink at the end of the path is itself the place. */
  readonly nofollow?: boolean;
}

/**
 * Opens a mount point or directory of the container under the name `into`. What is missing of
 * it is made, component by component, each below a parent that was resolved inside the root.
 */
export function openTarget(target: Target, into: string, origin: Origin): Step {
  const open = flags(
    'O',
    O,
    'PATH',
    ...(target.type === 'directory' ? (['DIRECTORY'] as const) : []),
    ...(target.nofollow ? (['NOFOLLOW'] as const) : []),
  );
  const existing = openInRoot(target.path, open, { ...origin, result: into }, target.symlinks);
  const parts = relative(target.resolved).split('/');
  const last = parts.pop() as string;
  const steps: Step[] = [];
  const made: string[] = [];
  let parent: Value = ROOT;
  for (const part of parts) {
    made.push(part);
    steps.push(
      call('mkdirat', [parent, part, DIRECTORY_MODE], { ...origin, tolerate: ['EEXIST'] }),
      openInRoot(made.join('/'), flags('O', O, 'PATH', 'DIRECTORY'), {
        ...origin,
        result: 'parent',
      }),
    );
    parent = result('parent');
  }
  const missing = { ...origin, tolerate: ['EEXIST'] };
  steps.push(
    target.type === 'directory'
      ? call('mkdirat', [parent, last, DIRECTORY_MODE], missing)
      : call('mknodat', [parent, last, S.IFREG | FILE_MODE, 0], missing),
    openInRoot([...made, last].join('/'), open, { ...origin, result: into }, target.symlinks),
  );
  return { kind: 'first', of: [[existing], steps], on: ['ENOENT'], ...origin };
}

/** Opens a target that must be there. */
export function openInPlace(target: Target, into: string, origin: Origin): Step {
  return openInRoot(
    target.path,
    flags('O', O, 'PATH'),
    { ...origin, result: into },
    target.symlinks,
  );
}

const FILESYSTEM = place('target statfs', 120);

/** Refuses a target in a procfs: its symlinks lead to what a process is, not to where they say. */
export function notInProc(target: Value, origin: Origin): Step {
  const type = (equals: number, errno: string): Step => ({
    kind: 'check',
    at: FILESYSTEM,
    offset: 0,
    width: 4,
    equals,
    errno,
    ...origin,
  });
  const look = call('fstatfs', [target, FILESYSTEM], origin);
  // A procfs goes on to the second check, which it never passes.
  const refuse = [look, type(MAGIC.PROC_SUPER, 'EBADE'), type(0, 'ELOOP')];
  return { kind: 'first', of: [refuse, []], on: ['EBADE'], ...origin };
}

/** Copies the mount that a descriptor is on, detached: open_tree(2). */
export function cloneTree(
  from: Value,
  path: string,
  recursive: boolean,
  origin: Origin & { result: string },
  nofollow = false,
): Step {
  const clone = {
    OPEN_TREE_CLONE: 1,
    OPEN_TREE_CLOEXEC: O.CLOEXEC,
    AT_EMPTY_PATH: AT.EMPTY_PATH,
    AT_RECURSIVE: AT.RECURSIVE,
    AT_SYMLINK_NOFOLLOW: AT.SYMLINK_NOFOLLOW,
  };
  const names: (keyof typeof clone)[] = ['OPEN_TREE_CLONE', 'OPEN_TREE_CLOEXEC'];
  if (path === '') names.push('AT_EMPTY_PATH');
  if (recursive) names.push('AT_RECURSIVE');
  if (nofollow) names.push('AT_SYMLINK_NOFOLLOW');
  const value = names.reduce((sum, name) => sum | clone[name], 0);
  return call('open_tree', [from, path, { flags: value, text: names.join('|') }], origin);
}

/** Attaches a detached mount to what a descriptor of the container points at. */
export function attach(mount: Value, target: Value, origin: Origin): Step {
  return call(
    'move_mount',
    [
      mount,
      '',
      target,
      '',
      {
        flags: MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        text: 'MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH',
      },
    ],
    origin,
  );
}

/** Changes what `struct mount_attr` of mount_setattr(2) can. */
export interface MountChange {
  readonly set?: Value;
  readonly clear?: Value;
  readonly propagation?: Value;
  readonly recursive?: boolean;
}

/** Changes the attributes of the mount that a descriptor is the root of. */
export function setAttributes(mount: Value, change: MountChange, origin: Origin): Step {
  const at = change.recursive
    ? { flags: AT.EMPTY_PATH | AT.RECURSIVE, text: 'AT_EMPTY_PATH|AT_RECURSIVE' }
    : { flags: AT.EMPTY_PATH, text: 'AT_EMPTY_PATH' };
  const attributes = struct(
    'mount_attr',
    ['attr_set', 8, change.set ?? 0],
    ['attr_clr', 8, change.clear ?? 0],
    ['propagation', 8, change.propagation ?? 0],
    ['userns_fd', 8, 0],
  );
  return call('mount_setattr', [mount, '', at, attributes, 32], origin);
}
