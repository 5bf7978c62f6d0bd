import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { MAGIC } from '../linux/constants.ts';
import { readFileSync } from '../linux/files.ts';
import { trySyscall } from '../linux/syscall.ts';

const APPARMOR = '/sys/module/apparmor/parameters/enabled';
const SELINUX = '/sys/fs/selinux';

/**
 * Refuses labels of security modules that the kernel does not run: without them the
 * container would have more rights than was asked for.
 *
 * @throws Error in one line
 */
export function checkLabels({ process, linux }: RuntimeConfig): void {
  const { apparmorProfile, selinuxLabel } = process ?? {};
  const mountLabel = linux?.mountLabel;
  if (apparmorProfile && !hasApparmor())
    throw new Error(
      `cannot confine the process by the AppArmor profile ${apparmorProfile}: the kernel does not run AppArmor (${APPARMOR}); leave the profile out  [/process/apparmorProfile]`,
    );
  if (selinuxLabel && !hasSelinux())
    throw new Error(
      `cannot give the process the SELinux label ${selinuxLabel}: the kernel does not run SELinux (there is no selinuxfs on ${SELINUX}); leave the label out  [/process/selinuxLabel]`,
    );
  if (mountLabel && !hasSelinux())
    throw new Error(
      `cannot give mounts the SELinux label ${mountLabel}: the kernel does not run SELinux (there is no selinuxfs on ${SELINUX}); leave the label out  [/linux/mountLabel]`,
    );
}

function hasApparmor(): boolean {
  try {
    return readFileSync(APPARMOR, 'latin1').startsWith('Y');
  } catch {
    return false;
  }
}

function hasSelinux(): boolean {
  const answer = new Uint8Array(120);
  if (trySyscall('statfs', SELINUX, answer) < 0) return false;
  return new DataView(answer.buffer).getUint32(0, true) === MAGIC.SELINUX;
}
