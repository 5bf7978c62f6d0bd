/** The types of `linux.resources` (config-linux.md, Control groups). */

import type { Integer64, IntegerList } from './scalars.ts';

export interface Resources {
  readonly devices?: readonly DeviceRule[];
  readonly memory?: MemoryResources;
  readonly cpu?: CpuResources;
  readonly pids?: PidsResources;
  readonly blockIO?: BlockIoResources;
  readonly hugepageLimits?: readonly HugepageLimit[];
  readonly network?: NetworkResources;
  /** Limits by the name of the RDMA device. */
  readonly rdma?: Readonly<Record<string, RdmaLimit>>;
  /** Values by the name of the cgroup v2 file that they're written to. */
  readonly unified?: Readonly<Record<string, string>>;
}

/** An entry of the list of allowed devices; entries apply in order. */
export interface DeviceRule {
  readonly allow: boolean;
  /** All (`a`, the default), character or block devices. */
  readonly type?: 'a' | 'c' | 'b';
  /** Absent, or -1 as some engines write it: every number. */
  readonly major?: number;
  /** Absent, or -1 as some engines write it: every number. */
  readonly minor?: number;
  /** Letters of `rwm`. */
  readonly access?: string;
}

/** Bytes; -1 is unlimited. Limits are `int64`. */
export interface MemoryResources {
  readonly limit?: Integer64;
  readonly reservation?: Integer64;
  /** Memory and swap together. */
  readonly swap?: Integer64;
  readonly kernel?: Integer64;
  readonly kernelTCP?: Integer64;
  /** From 0 to 100. */
  readonly swappiness?: number;
  readonly disableOOMKiller?: boolean;
  readonly useHierarchy?: boolean;
  readonly checkBeforeUpdate?: boolean;
}

/** Times are in microseconds. */
export interface CpuResources {
  readonly shares?: Integer64;
  /** An `int64`; negative means no limit. */
  readonly quota?: Integer64;
  readonly burst?: Integer64;
  readonly period?: Integer64;
  readonly realtimeRuntime?: Integer64;
  readonly realtimePeriod?: Integer64;
  readonly cpus?: IntegerList;
  readonly mems?: IntegerList;
  /** 1 makes the whole cgroup SCHED_IDLE. */
  readonly idle?: number;
}

export interface PidsResources {
  /** An `int64`; -1 is no limit. */
  readonly limit?: Integer64;
}

export interface BlockIoResources {
  readonly weight?: number;
  readonly leafWeight?: number;
  readonly weightDevice?: readonly WeightDevice[];
  readonly throttleReadBpsDevice?: readonly ThrottleDevice[];
  readonly throttleWriteBpsDevice?: readonly ThrottleDevice[];
  readonly throttleReadIOPSDevice?: readonly ThrottleDevice[];
  readonly throttleWriteIOPSDevice?: readonly ThrottleDevice[];
}

export interface WeightDevice {
  readonly major: number;
  readonly minor: number;
  /** At least one of the two weights. */
  readonly weight?: number;
  readonly leafWeight?: number;
}

export interface ThrottleDevice {
  readonly major: number;
  readonly minor: number;
  /** Bytes or operations a second, a `uint64`. */
  readonly rate: Integer64;
}

export interface HugepageLimit {
  /** Such as `2MB`. */
  readonly pageSize: string;
  /** Bytes, a `uint64`. */
  readonly limit: Integer64;
}

export interface NetworkResources {
  readonly classID?: number;
  readonly priorities?: readonly InterfacePriority[];
}

export interface InterfacePriority {
  readonly name: string;
  readonly priority: number;
}

/** At least one of the two. */
export interface RdmaLimit {
  readonly hcaHandles?: number;
  readonly hcaObjects?: number;
}
