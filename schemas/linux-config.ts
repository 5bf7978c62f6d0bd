/** The types of the `linux` part of `config.json` (config-linux.md), control groups apart. */

import type { Resources } from './resources-config.ts';
import type { Integer64, IntegerList } from './scalars.ts';

/** A name such as `CAP_CHOWN`; the schema lists those that exist. */
export type CapabilityName = `CAP_${string}`;

/** A name such as `RLIMIT_NOFILE`; the schema lists those that exist. */
export type RlimitName = `RLIMIT_${string}`;

export interface Linux {
  readonly namespaces?: readonly Namespace[];
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
  readonly timeOffsets?: TimeOffsets;
  readonly devices?: readonly Device[];
  /** Network devices to move into the container, by their name on the host. */
  readonly netDevices?: Readonly<Record<string, NetDevice>>;
  /** Absolute: from the root of the cgroup hierarchy. With the systemd driver: slice:prefix:name. */
  readonly cgroupsPath?: string;
  readonly resources?: Resources;
  readonly intelRdt?: IntelRdt;
  readonly memoryPolicy?: MemoryPolicy;
  /** Kernel parameters by their dotted name. */
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly seccomp?: Seccomp;
  readonly rootfsPropagation?: RootfsPropagation;
  /** Absolute paths in the container. */
  readonly maskedPaths?: readonly string[];
  /** Absolute paths in the container. */
  readonly readonlyPaths?: readonly string[];
  readonly mountLabel?: string;
  readonly personality?: Personality;
}

export type NamespaceType =
  | 'pid'
  | 'network'
  | 'mount'
  | 'ipc'
  | 'uts'
  | 'user'
  | 'cgroup'
  | 'time';

/** A namespace of the container's own, or with `path` one that exists and is joined. */
export interface Namespace {
  readonly type: NamespaceType;
  /** Absolute path in the runtime's mount namespace. */
  readonly path?: string;
}

/** One range of a user namespace's or a mount's ID map. All three are `uint32`. */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** Offsets of the clocks of a time namespace. */
export interface TimeOffsets {
  readonly monotonic?: TimeOffset;
  readonly boottime?: TimeOffset;
}

export interface TimeOffset {
  /** An `int64`. */
  readonly secs?: Integer64;
  readonly nanosecs?: number;
}

/** A device node that the container must have. */
export interface Device {
  /** Character (`c`, and `u` for an unbuffered one), block or FIFO. */
  readonly type: 'c' | 'b' | 'u' | 'p';
  /** Absolute path in the container. */
  readonly path: string;
  /** Required unless `type` is `p`. */
  readonly major?: number;
  /** Required unless `type` is `p`. */
  readonly minor?: number;
  /** Decimal in the file: 438 is 0666. */
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface NetDevice {
  /** Its name in the container; the host's where absent. May hold one `%d`. */
  readonly name?: string;
}

type Propagation = 'shared' | 'slave' | 'private' | 'unbindable';

/** The recursive forms aren't the specification's, but engines write them. */
export type RootfsPropagation = Propagation | `r${Propagation}`;

/** `personality(2)`. */
export interface Personality {
  readonly domain: 'LINUX' | 'LINUX32';
  readonly flags?: readonly string[];
}

/** `set_mempolicy(2)`. */
export interface MemoryPolicy {
  readonly mode: MemoryPolicyMode;
  readonly nodes?: IntegerList;
  readonly flags?: readonly MemoryPolicyFlag[];
}

export type MemoryPolicyMode =
  | 'MPOL_DEFAULT'
  | 'MPOL_BIND'
  | 'MPOL_INTERLEAVE'
  | 'MPOL_WEIGHTED_INTERLEAVE'
  | 'MPOL_PREFERRED'
  | 'MPOL_PREFERRED_MANY'
  | 'MPOL_LOCAL';

export type MemoryPolicyFlag =
  | 'MPOL_F_NUMA_BALANCING'
  | 'MPOL_F_RELATIVE_NODES'
  | 'MPOL_F_STATIC_NODES';

/** A class of the resctrl filesystem. */
export interface IntelRdt {
  readonly closID?: string;
  readonly schemata?: readonly string[];
  readonly l3CacheSchema?: string;
  readonly memBwSchema?: string;
  readonly enableMonitoring?: boolean;
}

/** A seccomp profile, in the words of libseccomp. */
export interface Seccomp {
  readonly defaultAction: SeccompAction;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly SeccompArchitecture[];
  readonly flags?: readonly SeccompFlag[];
  /** A Unix socket that the notify descriptor is sent to. */
  readonly listenerPath?: string;
  /** Only together with `listenerPath`. */
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly SeccompSyscall[];
}

export interface SeccompSyscall {
  /** At least one. */
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArgument[];
}

/** A condition on one argument of a system call. */
export interface SeccompArgument {
  /** From 0 to 5. */
  readonly index: number;
  /** A `uint64`. */
  readonly value: Integer64;
  /** A `uint64`; for SCMP_CMP_MASKED_EQ, where `value` is the mask. */
  readonly valueTwo?: Integer64;
  readonly op: SeccompOperator;
}

export type SeccompAction =
  | 'SCMP_ACT_KILL'
  | 'SCMP_ACT_KILL_PROCESS'
  | 'SCMP_ACT_KILL_THREAD'
  | 'SCMP_ACT_TRAP'
  | 'SCMP_ACT_ERRNO'
  | 'SCMP_ACT_TRACE'
  | 'SCMP_ACT_ALLOW'
  | 'SCMP_ACT_LOG'
  | 'SCMP_ACT_NOTIFY';

export type SeccompOperator =
  | 'SCMP_CMP_NE'
  | 'SCMP_CMP_LT'
  | 'SCMP_CMP_LE'
  | 'SCMP_CMP_EQ'
  | 'SCMP_CMP_GE'
  | 'SCMP_CMP_GT'
  | 'SCMP_CMP_MASKED_EQ';

export type SeccompFlag =
  | 'SECCOMP_FILTER_FLAG_TSYNC'
  | 'SECCOMP_FILTER_FLAG_LOG'
  | 'SECCOMP_FILTER_FLAG_SPEC_ALLOW'
  | 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV';

/** A name such as `SCMP_ARCH_X86_64`; the schema lists those that exist. */
export type SeccompArchitecture = `SCMP_ARCH_${string}`;
