import type { Mount } from '../../schemas/runtime-config.ts';
import { FSCONFIG } from '../linux/constants.ts';
import { change } from './bind.ts';
import { bindAttributes, type MountOptions } from './mount-options.ts';
import { call, type Origin, result, type Step } from './step.ts';
import { openInPlace, setAttributes, type Target } from './targets.ts';

/** fspick(2): FSPICK_CLOEXEC|FSPICK_EMPTY_PATH */
const FSPICK = { flags: 9, text: 'FSPICK_CLOEXEC|FSPICK_EMPTY_PATH' };

/**
 * Changes the mount that is at the destination (`remount`, mount(8)): its attributes and, without
 * `bind`, its filesystem's options.
 */
export function remount(
  mount: Mount,
  parsed: MountOptions,
  target: Target,
  pointer: string,
): Step[] {
  const origin = { pointer: `${pointer}/destination`, why: `remount ${mount.destination}` };
  const at = result('target');
  return [
    openInPlace(target, 'target', {
      ...origin,
      why: `open the mount ${mount.destination}`,
    }),
    ...(parsed.bind ? [] : filesystem(mount, parsed, origin)),
    ...change(at, bindAttributes(parsed.own, false), false, origin),
    ...change(at, parsed.below, true, origin),
    ...parsed.propagation.map(({ type, recursive }) =>
      setAttributes(at, { propagation: type, recursive }, origin),
    ),
  ];
}

/** fspick(2), and as many options as there are: the filesystem's own, and `ro` or `rw`. */
function filesystem(mount: Mount, parsed: MountOptions, origin: Origin): Step[] {
  const { set, clear } = parsed.own;
  const access = set.includes('RDONLY') ? ['ro'] : clear.includes('RDONLY') ? ['rw'] : [];
  const context = result('filesystem');
  const parameters = [
    ...parsed.parameters,
    ...access.map((key) => ({ key, value: undefined, pointer: origin.pointer })),
  ];
  if (parameters.length === 0) return [];
  return [
    call('fspick', [result('target'), '', FSPICK], { ...origin, result: 'filesystem' }),
    ...parameters.map(({ key, value, pointer }) => {
      const option = value === undefined ? key : `${key}=${value}`;
      const why = `set the option ${option} of what is on ${mount.destination}`;
      return value === undefined
        ? call('fsconfig', [context, FSCONFIG.SET_FLAG, key, 0, 0], { pointer, why })
        : call('fsconfig', [context, FSCONFIG.SET_STRING, key, value, 0], { pointer, why });
    }),
    call('fsconfig', [context, FSCONFIG.CMD_RECONFIGURE, 0, 0, 0], origin),
  ];
}
