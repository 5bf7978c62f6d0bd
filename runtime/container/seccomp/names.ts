import { constants } from 'node:os';
import type {
  SeccompAction,
  SeccompArchitecture,
  SeccompFlag,
  SeccompOperator,
} from '../../../schemas/runtime-config.ts';
import { SECCOMP, SECCOMP_FILTER_FLAG } from '../../linux/constants.ts';
import { trySyscall } from '../../linux/syscall.ts';

/** `SECCOMP_RET_*`, seccomp(2). ERRNO and TRACE take an errno in their lower half. */
export const ACTIONS: Readonly<Record<SeccompAction, number>> = {
  SCMP_ACT_ALLOW: 0x7fff0000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_TRAP: 0x00030000,
};

/** `enum scmp_compare` of libseccomp, seccomp_rule_add(3). */
export const OPERATORS: Readonly<Record<SeccompOperator, number>> = {
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_LE: 3,
  SCMP_CMP_LT: 2,
  SCMP_CMP_MASKED_EQ: 7,
  SCMP_CMP_NE: 1,
};

/**
 * Flags of seccomp(2). TSYNC is 0: it is about the other threads of a process, and init has none.
 */
export const FLAGS: Readonly<Record<SeccompFlag, number>> = {
  SECCOMP_FILTER_FLAG_LOG: SECCOMP_FILTER_FLAG.LOG,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: SECCOMP_FILTER_FLAG.SPEC_ALLOW,
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: SECCOMP_FILTER_FLAG.WAIT_KILLABLE_RECV,
};

/** The architectures of config-linux.md, as libseccomp 2.6.0 knows them. */
export const ARCHITECTURES: readonly SeccompArchitecture[] = [
  'SCMP_ARCH_AARCH64',
  'SCMP_ARCH_ARM',
  'SCMP_ARCH_LOONGARCH64',
  'SCMP_ARCH_M68K',
  'SCMP_ARCH_MIPS',
  'SCMP_ARCH_MIPS64',
  'SCMP_ARCH_MIPS64N32',
  'SCMP_ARCH_MIPSEL',
  'SCMP_ARCH_MIPSEL64',
  'SCMP_ARCH_MIPSEL64N32',
  'SCMP_ARCH_PARISC',
  'SCMP_ARCH_PARISC64',
  'SCMP_ARCH_PPC',
  'SCMP_ARCH_PPC64',
  'SCMP_ARCH_PPC64LE',
  'SCMP_ARCH_RISCV64',
  'SCMP_ARCH_S390',
  'SCMP_ARCH_S390X',
  'SCMP_ARCH_SH',
  'SCMP_ARCH_SHEB',
  'SCMP_ARCH_X32',
  'SCMP_ARCH_X86',
  'SCMP_ARCH_X86_64',
];

/**
 * Whether the running kernel knows a flag. It looks at the flags before it looks for the program,
 * which is missing here (EFAULT).
 */
export function kernelKnows(flag: SeccompFlag): boolean {
  // This one goes with a listener only.
  const listener =
    flag === 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV' ? SECCOMP_FILTER_FLAG.NEW_LISTENER : 0;
  const answer = trySyscall('seccomp', SECCOMP.SET_MODE_FILTER, FLAGS[flag] | listener, 0);
  return answer === -constants.errno.EFAULT;
}
