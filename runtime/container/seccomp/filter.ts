import { readFileSync } from 'node:fs';
import type { RuntimeConfig, Seccomp, SeccompFlag } from '../../../schemas/runtime-config.ts';
import { SECCOMP_FILTER_FLAG } from '../../linux/constants.ts';
import type { SeccompFilter } from '../../plan/facts.ts';
import { debug } from '../log.ts';
import type { ContainerStore } from '../store.ts';
import { FilterCache } from './cache.ts';
import { compileProfile, MOST_INSTRUCTIONS, SIZE_OF_INSTRUCTION } from './libseccomp.ts';
import { FLAGS, kernelKnows } from './names.ts';
import { BPF_DATA, receiverOf } from './receiver.ts';

/** crun's: a system call in the profile that libseccomp does not know is an error. */
export const FAIL_UNKNOWN = 'run.oci.seccomp_fail_unknown_syscall';
const CAP_SYS_PTRACE = 19n;
/** As runc and crun do when the profile names no flags. */
const DEFAULT_FLAG: SeccompFlag = 'SECCOMP_FILTER_FLAG_SPEC_ALLOW';

/**
 * Makes what the kernel takes of a container's seccomp profile. libseccomp is loaded only when the
 * profile was not compiled before.
 *
 * @param config valid, and with a profile or a program: see {@link hasFilter}
 * @throws Error in one line when libseccomp is missing, or libseccomp or the kernel does not know
 *   what the profile asks for
 */
export function readFilter(config: RuntimeConfig, store: ContainerStore): SeccompFilter {
  const profile = config.linux?.seccomp;
  const data = config.annotations?.[BPF_DATA];
  const notifies = profile?.syscalls?.some(({ action }) => action === 'SCMP_ACT_NOTIFY') ?? false;
  const listens = data === undefined ? notifies : receiverOf(config) !== undefined;
  const flags = flagsOf(profile, listens);
  const mustShow = listens && !mayTrace();
  debug(`seccomp filter flags: ${flags.flags}`);
  if (data !== undefined) return { program: decode(data), flags, listens, mustShow };
  if (profile === undefined) throw new Error('there is no seccomp profile  [/linux/seccomp]');
  const { program, unknown } = cached(profile, store);
  if (unknown.length > 0) {
    const names = unknown.join(', ');
    if (config.annotations?.[FAIL_UNKNOWN] !== undefined)
      throw new Error(
        `libseccomp knows no system call ${names}, and ${FAIL_UNKNOWN} is set  [/linux/seccomp/syscalls]`,
      );
    debug(`seccomp: libseccomp knows no system call ${names}: ignored`);
  }
  return { program, flags, listens, mustShow };
}

/** Whether this process has CAP_SYS_PTRACE, capabilities(7). */
function mayTrace(): boolean {
  const status = readFileSync('/proc/self/status', 'latin1');
  const set = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return ((set >> CAP_SYS_PTRACE) & 1n) === 1n;
}

interface Compiled {
  readonly program: Uint8Array;
  readonly unknown: readonly string[];
}

function cached(profile: Seccomp, store: ContainerStore): Compiled {
  const cache = new FilterCache(store);
  const found = cache.read(profile);
  if (found !== undefined) return found;
  const compiled = compileProfile(profile);
  debug(`seccomp: compiled by libseccomp ${compiled.version}`);
  cache.write(profile, compiled);
  return compiled;
}

function flagsOf(profile: Seccomp | undefined, listens: boolean): SeccompFilter['flags'] {
  const wanted = profile?.flags ?? (kernelKnows(DEFAULT_FLAG) ? [DEFAULT_FLAG] : []);
  const unknown = profile?.flags?.findIndex((flag) => !kernelKnows(flag)) ?? -1;
  if (unknown >= 0)
    throw new Error(
      `the running kernel does not know ${wanted[unknown]}: leave it out  [/linux/seccomp/flags/${unknown}]`,
    );
  const names = [...new Set(wanted)].filter((flag) => FLAGS[flag] !== 0);
  let flags = 0;
  for (const name of names) flags += FLAGS[name];
  const listener = listens ? ['SECCOMP_FILTER_FLAG_NEW_LISTENER'] : [];
  if (listens) flags += SECCOMP_FILTER_FLAG.NEW_LISTENER;
  return { flags, text: [...names, ...listener].join('|') || '0' };
}

/** The program of crun's annotation. */
function decode(data: string): Uint8Array {
  const program = Buffer.from(data, 'base64');
  const count = program.byteLength / SIZE_OF_INSTRUCTION;
  const isBase64 = program.toString('base64').replace(/=+$/, '') === data.replace(/=+$/, '');
  if (!isBase64 || !Number.isInteger(count) || count === 0 || count > MOST_INSTRUCTIONS)
    throw new Error(
      `${BPF_DATA} is no BPF program: give 1 to ${MOST_INSTRUCTIONS} instructions of ${SIZE_OF_INSTRUCTION} bytes in base64  [/annotations/${BPF_DATA}]`,
    );
  return program;
}
