import type { Hooks } from '../../schemas/runtime-config.ts';
import { Cgroup } from '../cgroups/cgroup.ts';
import type { UnitId } from '../cgroups/systemd/scope.ts';
import { PROGRESS as PAGE } from '../init/protocol.ts';
import { O } from '../linux/constants.ts';
import { closeSync, openSync, readFileSync } from '../linux/files.ts';
import { join } from '../linux/path.ts';
import { readWord, syscall } from '../linux/syscall.ts';
import type { ResctrlGroups } from './intel-rdt.ts';
import { isAlive, type ProcessId } from './process.ts';

/** The version of the OCI runtime specification that scow implements. */
export const SPEC_VERSION = '1.3.0';

/** What scow keeps of a container in `state.json`. */
export interface ContainerState {
  /** The version of the specification that this state complies with: {@link SPEC_VERSION}. */
  readonly ociVersion: string;
  readonly id: string;
  /** Absolute path. */
  readonly bundle: string;
  /** Absolute path of the root filesystem. */
  readonly rootfs: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** When it was created: RFC 3339, UTC, with nanoseconds. */
  readonly created: string;
  /** The user who created it. */
  readonly owner: number;
  /** The container's init, 0 before it was launched. */
  readonly pid: number;
  /** Start time of init, see {@link ProcessId}; '0' before it was launched. */
  readonly startTime: string;
  /** Whether init is PID 1 of a PID namespace, so that its death ends every other process. */
  readonly ownPidNamespace: boolean;
  /** Absolute path of the container's own cgroup, or null when it has none. */
  readonly cgroup: string | null;
  /** The unit of systemd that the cgroup is of, if it is. */
  readonly unit?: UnitId;
  readonly intelRdt?: ResctrlGroups;
  /** Its processes keep the session keyring of who starts them. */
  readonly noNewKeyring: boolean;
  readonly terminal: boolean;
  /** The program, for messages about it. */
  readonly program: string;
  readonly hooks?: Hooks;
  /** The scow that is still creating the container; null as soon as init waits for its start. */
  readonly launchedBy: ProcessId | null;
}

/** The states of the runtime specification (runtime.md), and `paused` as every engine knows it. */
export type ContainerStatus = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

/** Names inside a container's state directory. */
export const STATE_FILE = 'state.json';
/** The text of the config.json that the container was created with. */
export const CONFIG = 'config.json';
/** Init waits here for the first byte, and holds the reading end until it executes the program. */
export const FIFO = 'exec.fifo';
/** The page that init keeps its place in: see {@link readProgress}. */
export const PROGRESS = 'progress';

/** The container's init as a process. */
export function initOf(state: ContainerState): ProcessId {
  return { pid: state.pid, startTime: state.startTime };
}

/**
 * Finds a container's status from nothing but the kernel's own answers, so that it is true even
 * after scow was killed half-way.
 *
 * @param directory the container's state directory
 */
export function statusOf(state: ContainerState, directory: string): ContainerStatus {
  const alive = isAlive(initOf(state));
  if (state.launchedBy !== null) return alive || isAlive(state.launchedBy) ? 'creating' : 'stopped';
  if (!alive) return 'stopped';
  if (state.cgroup !== null && Cgroup.at(state.cgroup).isFrozen()) return 'paused';
  return waitsForStart(directory) ? 'created' : 'running';
}

/**
 * Whether a container's init waits for its start: a FIFO can be opened for writing without waiting
 * only while somebody holds it for reading.
 *
 * @param directory the container's state directory
 */
export function waitsForStart(directory: string): boolean {
  try {
    closeSync(openSync(join(directory, FIFO), O.WRONLY | O.NONBLOCK));
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENXIO' || code === 'ENOENT') return false;
    throw error;
  }
}

/** How far init came: the number of its step under way, and the errno it ended with or 0. */
export interface Progress {
  readonly step: number;
  readonly errno: number;
  /** What a «tell» step left. */
  readonly told?: number;
}

/**
 * Reads the page in which init keeps its place: the step's number as 32 bits, then the errno.
 *
 * @returns undefined when the page is not there
 */
export function readProgress(directory: string): Progress | undefined {
  let page: Buffer;
  try {
    page = readFileSync(join(directory, PROGRESS));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return parseProgress(page);
}

/** The page as {@link readProgress} has it; undefined when it is none. */
export function parseProgress(page: Buffer): Progress | undefined {
  if (page.byteLength < 8) return undefined;
  return {
    step: page.readUInt32LE(PAGE.step),
    errno: page.readInt32LE(PAGE.errno),
    ...(page.readUInt32LE(PAGE.told) === 0
      ? {}
      : { told: Number(page.readBigInt64LE(PAGE.value)) }),
  };
}

const CLOCK_REALTIME = 0;

/** The time now as `created` has it: RFC 3339 in UTC, nanoseconds without trailing zeros. */
export function timestamp(): string {
  const time = new DataView(new ArrayBuffer(16));
  syscall('clock_gettime', CLOCK_REALTIME, new Uint8Array(time.buffer));
  const seconds = new Date(readWord(time, 0) * 1000).toISOString().slice(0, 19);
  const fraction = String(readWord(time, 8)).padStart(9, '0').replace(/0+$/, '');
  return fraction === '' ? `${seconds}Z` : `${seconds}.${fraction}Z`;
}
