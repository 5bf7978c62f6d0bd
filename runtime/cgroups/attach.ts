import type { DeviceRule } from '../../schemas/runtime-config.ts';
import { readFileSync } from '../linux/files.ts';
import { SyscallError, syscall } from '../linux/syscall.ts';
import { attachedPrograms, attachProgram, detachProgram, loadProgram } from './bpf.ts';
import { type Cgroup, REMOVED } from './cgroup.ts';
import { allowsEverything, deviceProgram } from './devices.ts';

/** By this name scow knows its own programs from those of systemd and others. */
const PROGRAM_NAME = 'scow_devices';

/**
 * Makes the device rules of a container effective for its cgroup. A program of an
 * earlier call is replaced in one step: no moment is without a filter.
 *
 * @param rules the configured ones and then `DEFAULT_DEVICE_RULES`, free of faults
 * @returns `skipped` when the kernel refused and the container can do without: the rules
 *   deny nothing, or scow is rootless, where the kernel checks devices by their owner
 *   and mode, and nobody may make one
 * @throws Error in one line, with the verifier's words where it has any
 */
export function applyDeviceRules(
  cgroup: Cgroup,
  rules: readonly DeviceRule[],
): 'attached' | 'skipped' {
  try {
    attachDeviceProgram(cgroup, deviceProgram(rules));
    return 'attached';
  } catch (cause) {
    const denied = cause instanceof SyscallError && ['EPERM', 'EACCES'].includes(cause.code);
    if (allowsEverything(rules) || (denied && isRootless())) return 'skipped';
    throw new Error(
      `cannot set the device rules of cgroup ${cgroup.path}: ${cgroup.exists() ? (cause as Error).message : REMOVED}` +
        (denied ? '; it takes CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN' : '') +
        '  [/linux/resources/devices]',
      { cause },
    );
  }
}

/** An ordinary user, or root of a user namespace, has no bpf(2). */
function isRootless(): boolean {
  const identity = /^\s*0\s+0\s+4294967295\s*$/;
  return process.geteuid?.() !== 0 || !identity.test(readFileSync('/proc/self/uid_map', 'latin1'));
}

/**
 * Attaches a program in place of the one that scow attached earlier, or as one more
 * beside those of others (all of them must allow a request).
 */
function attachDeviceProgram(cgroup: Cgroup, program: Uint8Array): void {
  const directory = cgroup.open();
  try {
    const fd = loadProgram(program, PROGRAM_NAME);
    try {
      while (!attachOnce(directory, fd)) {
        // Another scow replaced the program between the look and the attaching: look again.
      }
    } finally {
      syscall('close', fd);
    }
  } finally {
    syscall('close', directory);
  }
}

/** @returns false when the program that was to be replaced is gone */
function attachOnce(directory: number, program: number): boolean {
  const earlier = attachedPrograms(directory, PROGRAM_NAME);
  try {
    const [replaced, ...surplus] = earlier;
    if (!attachProgram(directory, program, replaced)) return false;
    for (const fd of surplus) detachProgram(directory, fd);
    return true;
  } finally {
    for (const fd of earlier) syscall('close', fd);
  }
}
