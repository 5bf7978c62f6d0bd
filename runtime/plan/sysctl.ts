import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { pointerTo } from '../../schemas/violation.ts';
import { FSCONFIG, O, RESOLVE } from '../linux/constants.ts';
import { call, flags, result, type Step, struct } from './step.ts';
import { OPEN_HOW_SIZE } from './targets.ts';

/**
 * Sets kernel parameters of the container's namespaces through a procfs of init's own: what
 * the image mounts or links at /proc cannot redirect the writes.
 */
export function sysctls(config: RuntimeConfig): Step[] {
  const entries = Object.entries(config.linux?.sysctl ?? {});
  if (entries.length === 0) return [];
  const origin = { pointer: '/linux/sysctl', why: 'open a procfs' };
  return [
    call('fsopen', ['proc', 1], { ...origin, result: 'filesystem' }),
    call('fsconfig', [result('filesystem'), FSCONFIG.CMD_CREATE, 0, 0, 0], origin),
    call('fsmount', [result('filesystem'), 1, 0], { ...origin, result: 'proc' }),
    ...entries.flatMap(([key, value]) => write(key, value)),
  ];
}

function write(key: string, value: string): Step[] {
  const origin = {
    pointer: pointerTo('linux', 'sysctl', key),
    why: `set the kernel parameter ${key} to ${value}`,
  };
  const how = struct(
    'open_how',
    ['flags', 8, flags('O', O, 'WRONLY', 'CLOEXEC')],
    ['mode', 8, 0],
    ['resolve', 8, flags('RESOLVE', RESOLVE, 'BENEATH', 'NO_SYMLINKS', 'NO_XDEV')],
  );
  return [
    call('openat2', [result('proc'), `sys/${sysctlPath(key)}`, how, OPEN_HOW_SIZE], {
      ...origin,
      result: 'parameter',
    }),
    call('write', [result('parameter'), value, Buffer.byteLength(value)], origin),
  ];
}

/** As sysctl(8): the first separator decides whether dots or slashes divide the name. */
function sysctlPath(key: string): string {
  const separator = key.search(/[./]/);
  if (separator < 0 || key[separator] === '/') return key;
  return key.replaceAll(/[./]/g, (found) => (found === '.' ? '/' : '.'));
}
