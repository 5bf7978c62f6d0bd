/** SELinux labels of mounts: linux.mountLabel (config-linux.md). */

import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { O } from '../linux/constants.ts';
import type { Parameter } from './mount-options.ts';
import { call, flags, result, type Step, type Value } from './step.ts';

const POINTER = '/linux/mountLabel';

/** crun's choice of what the label is for, mount(8). */
export const CONTEXT_TYPE = 'run.oci.mount_context_type';

/** Their labels are the kernel's own, or those of the host. */
const UNLABELLED: ReadonlySet<string> = new Set(['proc', 'sysfs', 'cgroup', 'cgroup2', 'mqueue']);

/** The label as an option of the filesystem, for all files in it. */
export function labelParameter(config: RuntimeConfig, type: string): Parameter[] {
  const value = config.linux?.mountLabel;
  if (!value || UNLABELLED.has(type)) return [];
  const key = config.annotations?.[CONTEXT_TYPE] ?? 'context';
  return [{ key, value, pointer: POINTER }];
}

/** An mqueue takes no such option: its directory is given the label. */
export function labelQueue(config: RuntimeConfig, type: string, mount: Value): Step[] {
  const label = config.linux?.mountLabel;
  if (!label || type !== 'mqueue') return [];
  const origin = { pointer: POINTER, why: 'label the message queues' };
  const directory = result('queues');
  return [
    call('openat', [mount, '.', flags('O', O, 'DIRECTORY', 'CLOEXEC')], {
      ...origin,
      result: 'queues',
    }),
    call(
      'fsetxattr',
      [directory, 'security.selinux', label, Buffer.byteLength(label) + 1, 0],
      origin,
    ),
  ];
}
