import type { Flags } from './step.ts';

/**
 * What a plan must know of the host, read before it is made (see container/facts.ts).
 * With it, planning is a pure function.
 */
export interface Facts {
  /** scow may mount in its own namespace: it prepares sources that init may not reach. */
  readonly privileged: boolean;
  /** scow runs in a user namespace that is not the machine's first. */
  readonly nested: boolean;
  /** Signals that init would inherit as ignored: some from the caller, some from the engine. */
  readonly ignoredSignals: readonly number[];
  /** Number of the highest capability of the running kernel. */
  readonly lastCapability: number;
  /** The host has /proc/kcore, which /dev/core points at. */
  readonly kcore: boolean;
  /** The absolute path of the root filesystem, free of symlinks. */
  readonly rootfs: string;
  /** What is at each mount's destination, each device's parent and the working directory, in the root filesystem. */
  readonly destinations: ReadonlyMap<string, Destination>;
  /** What each bind mount's source is, by its absolute path. */
  readonly sources: ReadonlyMap<string, 'directory' | 'file'>;
  /** What the symlinks say that are to be made anew in the container, by the same paths. */
  readonly symlinks?: ReadonlyMap<string, string>;
  /** Attributes of the mounts that sources are on, where a user namespace must not lose them. */
  readonly lockedAttributes?: ReadonlyMap<string, readonly string[]>;
  /** RLIMIT_NOFILE of scow's caller. */
  readonly openFiles?: { readonly soft: bigint; readonly hard: bigint };
  /** The container's cgroup below the root of the hierarchy, and where that is mounted. */
  readonly cgroup?: { readonly mount: string; readonly path: string };
  /** What `linux.seccomp` was compiled to. */
  readonly seccomp?: SeccompFilter | undefined;
  /** Where the host has procfs and sysfs, the last mounted first: for `--no-pivot`. */
  readonly kernelMounts?: readonly string[];
  /** Who called scow: of interest to hooks only. */
  readonly caller?: Caller;
}

/** A seccomp profile as the kernel takes it. */
export interface SeccompFilter {
  /** The BPF program: an array of `struct sock_filter`. */
  readonly program: Uint8Array;
  /** Flags of seccomp(2). */
  readonly flags: Flags;
  /** Calls are notified: loading the filter gives a descriptor, which scow hands to the agent. */
  readonly listens: boolean;
  /** scow can't take that from an init that hides itself (PR_SET_DUMPABLE): it has no privileges. */
  readonly mustShow: boolean;
}

/** What hooks have in common with who called scow. */
export interface Caller {
  /** `NAME=value` each. */
  readonly environment: readonly string[];
  readonly umask: number;
  /** RLIMIT_NOFILE. */
  readonly openFiles?: { readonly soft: bigint; readonly hard: bigint };
  /** Signals that a process of scow's would inherit as ignored. */
  readonly ignoredSignals: readonly number[];
}

/** A path in the root filesystem, before anything is mounted on it. */
export interface Destination {
  /** The path without symlinks, as far as its components exist. */
  readonly resolved: string;
  /** Permission bits when it exists. */
  readonly mode?: number;
}

/** Everything else that the command line decides. */
export interface PlanOptions {
  /** The container's ID. */
  readonly id: string;
  /** The bundle's absolute path. */
  readonly bundle: string;
  /** How many descriptors from 3 on are the program's. */
  readonly preserveFds: number;
  /** Those of them that the caller handed down. */
  readonly preserved: readonly number[];
  readonly noPivot: boolean;
  readonly noNewKeyring: boolean;
  /** Init is not born in its cgroup: it waits until scow has moved it there. */
  readonly awaitCgroup: boolean;
  /** The program dies with scow: it runs in the foreground. */
  readonly foreground: boolean;
}

/** What any process of a container depends on. */
export type ProcessFacts = Pick<
  Facts,
  'ignoredSignals' | 'lastCapability' | 'openFiles' | 'seccomp'
>;

/** What the command line decides for any process of a container. */
export type ProcessOptions = Pick<
  PlanOptions,
  'id' | 'preserveFds' | 'preserved' | 'noNewKeyring' | 'foreground'
>;
