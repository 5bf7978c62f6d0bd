import type { Mount } from '../../schemas/runtime-config.ts';
import { AT, O } from '../linux/constants.ts';
import type { MountOptions } from './mount-options.ts';
import { call, flags, result, type Step, type Value } from './step.ts';

/** What the options of a tmpfs set of its own directory: the sum of these says it to scow. */
export const COPY_UP = { mode: 1, uid: 2, gid: 4 } as const;

/**
 * Has scow fill a new tmpfs with what is in the place that it will cover (`tmpcopyup`).
 *
 * @param target the place
 * @param into the detached tmpfs
 */
export function copyUp(
  target: Value,
  into: Value,
  mount: Mount,
  { parameters }: MountOptions,
  pointer: string,
): Step[] {
  const origin = {
    pointer: `${pointer}/options/${mount.options?.indexOf('tmpcopyup')}`,
    why: `copy what is in ${mount.destination} into a tmpfs`,
  };
  const kept = Object.entries(COPY_UP)
    .filter(([name]) => parameters.some(({ key }) => key === name))
    .reduce((sum, [, bit]) => sum + bit, 0);
  const namespace = result('own user namespace');
  return [
    call('openat', [AT.FDCWD, '/proc/self/ns/user', flags('O', O, 'CLOEXEC')], {
      ...origin,
      result: 'own user namespace',
    }),
    {
      kind: 'report',
      point: 'copy-up',
      send: [target, into, namespace],
      value: kept,
      answer: {},
      ...origin,
    },
    call('close', [namespace], origin),
  ];
}
