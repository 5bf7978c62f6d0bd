import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { AF_NETLINK, NETLINK_ROUTE, O, SOCK_RAW } from '../linux/constants.ts';
import { call, result, type Step } from './step.ts';

/**
 * Has scow move network devices into the container's network namespace. What they need there
 * it does through a socket of init's own: a socket stays in the namespace that it was made in.
 */
export function netDevices(config: RuntimeConfig): Step[] {
  if (Object.keys(config.linux?.netDevices ?? {}).length === 0) return [];
  const origin = { pointer: '/linux/netDevices', why: 'have the network devices moved' };
  return [
    call('socket', [AF_NETLINK, SOCK_RAW | O.CLOEXEC, NETLINK_ROUTE], {
      ...origin,
      result: 'netlink',
    }),
    { kind: 'report', point: 'net-devices', send: [result('netlink')], answer: {}, ...origin },
    call('close', [result('netlink')], origin),
  ];
}
