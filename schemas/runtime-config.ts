/**
 * The types of a bundle's `config.json`: the OCI runtime specification 1.3.0, its common and its
 * Linux parts. Property names are the specification's own. What other platforms define (`windows`,
 * `solaris`, …) is left out: a Linux runtime ignores it, as it ignores every unknown property.
 */

import type { CapabilityName, IdMapping, Linux, RlimitName } from './linux-config.ts';
import type { Integer64, IntegerList } from './scalars.ts';

export type * from './linux-config.ts';
export type * from './resources-config.ts';
export type * from './scalars.ts';

/** The root of `config.json` (config.md). */
export interface RuntimeConfig {
  /** SemVer of the specification that the bundle complies with: 1.x.y. */
  readonly ociVersion: string;
  readonly root?: Root;
  /** Required once the container is started. */
  readonly process?: Process;
  readonly hostname?: string;
  readonly domainname?: string;
  /** Mounted in this order, after the root filesystem. */
  readonly mounts?: readonly Mount[];
  readonly hooks?: Hooks;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: Linux;
}

/** The container's root filesystem. */
export interface Root {
  /** Absolute, or relative to the bundle. */
  readonly path: string;
  readonly readonly?: boolean;
}

/** A filesystem to mount in the container. */
export interface Mount {
  /** Path in the container; a relative one (deprecated) counts from `/`. */
  readonly destination: string;
  readonly type?: string;
  /** A device, a dummy name, or for a bind mount a path: absolute or relative to the bundle. */
  readonly source?: string;
  readonly options?: readonly string[];
  /** The ID mapping of the mount; only ever together with `gidMappings`. */
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
}

/** The program that the container runs. */
export interface Process {
  readonly terminal?: boolean;
  /** Ignored unless `terminal` is true. */
  readonly consoleSize?: ConsoleSize;
  readonly user: User;
  /** `args[0]` is looked up as `execvp` does. Required to start a container. */
  readonly args?: readonly string[];
  /** `NAME=value` each. */
  readonly env?: readonly string[];
  /** Absolute path in the container. */
  readonly cwd: string;
  readonly rlimits?: readonly Rlimit[];
  readonly apparmorProfile?: string;
  readonly capabilities?: Capabilities;
  readonly noNewPrivileges?: boolean;
  /** From -1000 to 1000. */
  readonly oomScoreAdj?: number;
  readonly scheduler?: Scheduler;
  readonly selinuxLabel?: string;
  readonly ioPriority?: IoPriority;
  readonly execCPUAffinity?: CpuAffinity;
}

/** A terminal's size in characters. */
export interface ConsoleSize {
  readonly height: number;
  readonly width: number;
}

/** Numeric identity of a process, in the container's user namespace. */
export interface User {
  readonly uid: number;
  readonly gid: number;
  /** Decimal in the file: 18 is 0022. */
  readonly umask?: number;
  readonly additionalGids?: readonly number[];
}

/** One resource limit: `setrlimit(2)`. */
export interface Rlimit {
  readonly type: RlimitName;
  /** A `uint64`; 2^64 - 1 means unlimited. */
  readonly soft: Integer64;
  /** A `uint64`; 2^64 - 1 means unlimited. */
  readonly hard: Integer64;
}

/** The five capability sets of a process: capabilities(7). */
export interface Capabilities {
  readonly effective?: readonly CapabilityName[];
  readonly bounding?: readonly CapabilityName[];
  readonly inheritable?: readonly CapabilityName[];
  readonly permitted?: readonly CapabilityName[];
  readonly ambient?: readonly CapabilityName[];
}

export type SchedulerPolicy =
  | 'SCHED_OTHER'
  | 'SCHED_FIFO'
  | 'SCHED_RR'
  | 'SCHED_BATCH'
  | 'SCHED_ISO'
  | 'SCHED_IDLE'
  | 'SCHED_DEADLINE';

export type SchedulerFlag =
  | 'SCHED_FLAG_RESET_ON_FORK'
  | 'SCHED_FLAG_RECLAIM'
  | 'SCHED_FLAG_DL_OVERRUN'
  | 'SCHED_FLAG_KEEP_POLICY'
  | 'SCHED_FLAG_KEEP_PARAMS'
  | 'SCHED_FLAG_UTIL_CLAMP_MIN'
  | 'SCHED_FLAG_UTIL_CLAMP_MAX';

/** `sched_setattr(2)`. */
export interface Scheduler {
  readonly policy: SchedulerPolicy;
  readonly nice?: number;
  readonly priority?: number;
  readonly flags?: readonly SchedulerFlag[];
  /** Nanoseconds, a `uint64`; for SCHED_DEADLINE like the next two. */
  readonly runtime?: Integer64;
  readonly deadline?: Integer64;
  readonly period?: Integer64;
}

/** `ioprio_set(2)`. */
export interface IoPriority {
  readonly class: 'IOPRIO_CLASS_RT' | 'IOPRIO_CLASS_BE' | 'IOPRIO_CLASS_IDLE';
  /** From 0, the highest, to 7. */
  readonly priority: number;
}

/** CPUs of a process that `exec` adds: before and after it joins the container's cgroup. */
export interface CpuAffinity {
  readonly initial?: IntegerList;
  readonly final?: IntegerList;
}

/** Programs to run at points of the container's life, in the order given. */
export interface Hooks {
  /** Deprecated by the specification, and still used. */
  readonly prestart?: readonly Hook[];
  readonly createRuntime?: readonly Hook[];
  readonly createContainer?: readonly Hook[];
  readonly startContainer?: readonly Hook[];
  readonly poststart?: readonly Hook[];
  readonly poststop?: readonly Hook[];
}

/** One hook; it receives the container's state on its standard input. */
export interface Hook {
  /** Absolute path. */
  readonly path: string;
  /** The whole argv, `args[0]` included. */
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  /** Seconds, at least 1. */
  readonly timeout?: number;
}
