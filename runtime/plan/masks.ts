import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { AT, FSCONFIG, MNT_DETACH, O, S } from '../linux/constants.ts';
import { isDevice } from './devices.ts';
import { attributes } from './mount-options.ts';
import { call, flags, type Origin, result, type Step } from './step.ts';
import { attach, cloneTree, openInRoot, relative, setAttributes } from './targets.ts';

const DIRECTORY = flags('O', O, 'PATH', 'DIRECTORY');
const ANY = flags('O', O, 'PATH');

/** Makes paths of the container read-only, and hides others (config-linux.md). */
export function masks(config: RuntimeConfig): Step[] {
  return [
    ...readOnly(config.linux?.readonlyPaths ?? []),
    ...hidden(config.linux?.maskedPaths ?? []),
  ];
}

/** A path that does not exist needs nothing. */
function ifPresent(steps: readonly Step[], origin: Origin): Step {
  return { kind: 'first', of: [steps, []], on: ['ENOENT'], ...origin };
}

/** A path whose turn it is. */
const PATH = result('path');

function readOnly(paths: readonly string[]): Step[] {
  if (paths.length === 0) return [];
  const pointer = '/linux/readonlyPaths';
  const origin = { pointer, why: 'make paths read-only' };
  const steps = [
    openInRoot(PATH, ANY, { ...origin, result: 'target' }),
    cloneTree(result('target'), '', true, { ...origin, result: 'copy' }),
    setAttributes(result('copy'), { set: attributes(['RDONLY']) }, origin),
    attach(result('copy'), result('target'), origin),
  ];
  return [
    {
      kind: 'each',
      as: PATH.result,
      values: paths.map(relative),
      of: [ifPresent(steps, origin)],
      origin: (i) => ({ pointer: `${pointer}/${i}`, why: `make ${paths[i]} read-only` }),
      ...origin,
    },
  ];
}

/** Files are covered with /dev/null of the host, directories with one empty tmpfs. */
function hidden(paths: readonly string[]): Step[] {
  if (paths.length === 0) return [];
  const null_ = result('null');
  const prepare = { pointer: '/linux/maskedPaths', why: 'open the /dev/null of the host' };
  return [
    call('openat', [AT.FDCWD, '/dev/null', flags('O', O, 'PATH', 'NOFOLLOW', 'CLOEXEC')], {
      ...prepare,
      result: 'null',
    }),
    ...isDevice(null_, '', { mode: S.IFCHR, major: 1, minor: 3 }, prepare),
    ...emptyDirectory(),
    hideEach(paths),
    // The copies stay; the original must not lie on the root filesystem.
    call('fchdir', [result('empty')], prepare),
    call('umount2', ['.', { flags: MNT_DETACH, text: 'MNT_DETACH' }], prepare),
  ];
}

function hideEach(paths: readonly string[]): Step {
  const pointer = '/linux/maskedPaths';
  const origin = { pointer, why: 'hide paths' };
  // Twice is no better, and engines name paths more than once.
  const places = new Map<string, number>();
  for (const [i, path] of paths.entries())
    if (!places.has(relative(path))) places.set(relative(path), i);
  const indices = [...places.values()];
  const directory = [
    openInRoot(PATH, DIRECTORY, { ...origin, result: 'target' }),
    ...cover(result('empty'), origin),
  ];
  const file = [
    openInRoot(PATH, ANY, { ...origin, result: 'target' }),
    ...cover(result('null'), origin),
  ];
  return {
    kind: 'each',
    as: PATH.result,
    values: [...places.keys()],
    of: [{ kind: 'first', of: [directory, file, []], on: ['ENOENT', 'ENOTDIR'], ...origin }],
    origin: (i) => {
      const index = indices[i] as number;
      return { pointer: `${pointer}/${index}`, why: `hide ${paths[index]}` };
    },
    ...origin,
  };
}

function cover(by: ReturnType<typeof result>, origin: Origin): Step[] {
  return [
    cloneTree(by, '', false, { ...origin, result: 'copy' }),
    attach(result('copy'), result('target'), origin),
  ];
}

/**
 * One read-only tmpfs for all directories. Only an attached mount can be copied, so it is
 * put over the host's root, which init is about to leave.
 */
function emptyDirectory(): Step[] {
  const origin = { pointer: '/linux/maskedPaths', why: 'make an empty directory' };
  return [
    ...emptyFilesystem('empty', origin),
    call(
      'move_mount',
      [result('empty'), '', AT.FDCWD, '/', { flags: 4, text: 'MOVE_MOUNT_F_EMPTY_PATH' }],
      origin,
    ),
  ];
}

/** A tmpfs in which nothing is and nothing can be made, detached, under the name `into`. */
export function emptyFilesystem(into: string, origin: Origin): Step[] {
  const context = result('filesystem');
  const options = { nr_blocks: '1', nr_inodes: '1', mode: '755' };
  return [
    call('fsopen', ['tmpfs', 1], { ...origin, result: 'filesystem' }),
    ...Object.entries(options).map(([key, value]) =>
      call('fsconfig', [context, FSCONFIG.SET_STRING, key, value, 0], origin),
    ),
    call('fsconfig', [context, FSCONFIG.CMD_CREATE, 0, 0, 0], origin),
    call('fsmount', [context, 1, attributes(['RDONLY', 'NOSUID', 'NODEV', 'NOEXEC'])], {
      ...origin,
      result: into,
    }),
  ];
}
