import { Cgroup } from '../cgroups/cgroup.ts';
import { reason } from '../linux/reason.ts';
import { SIGNALS } from '../linux/signals.ts';
import { type ProcessId, signalProcess, startTimeOf, waitForExit } from './process.ts';
import { processesOf } from './processes.ts';
import { type ContainerState, initOf, statusOf, waitsForStart } from './state.ts';
import type { ContainerStore } from './store.ts';

const { SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH } = SIGNALS;

/** Milliseconds that killed processes get to end. */
export const PATIENCE = 10_000;

/** The signals that do not end a process which has no handler for them, signal(7). */
const HARMLESS: readonly number[] = [
  0,
  SIGCHLD,
  SIGCONT,
  SIGSTOP,
  SIGTSTP,
  SIGTTIN,
  SIGTTOU,
  SIGURG,
  SIGWINCH,
];

/**
 * Sends a signal to a container's init: the `kill` operation of the runtime specification.
 *
 * @param signal its number; 0 only asks whether the container is running
 * @throws Error in one line when the container is not running, or may not be signalled
 */
export function killContainer(store: ContainerStore, id: string, signal: number): void {
  const state = store.read(id);
  const directory = store.directory(id);
  const status = statusOf(state, directory);
  // Without a PID namespace of its own, the container's other processes outlive its init.
  const loose = state.ownPidNamespace || state.cgroup === null ? null : Cgroup.at(state.cgroup);
  if (signal === SIGKILL && loose?.populated()) {
    loose.kill();
    return;
  }
  if (status === 'stopped') throw notRunning(id);
  // Also one that is paused, for which the signal waits.
  const fatal = state.ownPidNamespace && !HARMLESS.includes(signal);
  if (status !== 'creating' && fatal && waitsForStart(directory))
    endBeforeStart(store, state, signal);
  else if (!send(initOf(state), signal, id)) throw notRunning(id);
}

/**
 * Ends an init that waits for its start. As PID 1 of a namespace the kernel spares it every signal
 * that it has no handler for (pid_namespaces(7)), and it has none: only SIGKILL does what was asked.
 */
function endBeforeStart(store: ContainerStore, state: ContainerState, signal: number): void {
  // Under the lock `start` cannot turn it into the user's program, which may have handlers.
  const lock = store.lock(state.id);
  try {
    const waits = waitsForStart(store.directory(state.id));
    if (!send(initOf(state), waits ? SIGKILL : signal, state.id)) throw notRunning(state.id);
  } finally {
    lock.release();
  }
}

/**
 * Sends a signal to every process of a container. That none is left is no error.
 *
 * @param signal its number
 * @throws Error in one line when a process may not be signalled
 */
export function killAll(store: ContainerStore, id: string, signal: number): void {
  const state = store.read(id);
  const directory = store.directory(id);
  const cgroup = state.cgroup === null ? undefined : Cgroup.at(state.cgroup);
  // The death of the first process of a PID namespace is that of all others.
  const first = signal === SIGKILL || (state.ownPidNamespace && waitsForStart(directory));
  if (signal === SIGKILL && cgroup !== undefined) cgroup.kill();
  else if (first && statusOf(state, directory) !== 'stopped') killContainer(store, id, signal);
  else if (cgroup !== undefined) standingStill(cgroup, () => signalEach(state, signal));
  else signalEach(state, signal);
}

/** Standing still, processes cannot fork one that a signal would miss. */
function standingStill(cgroup: Cgroup, act: () => void): void {
  if (!cgroup.exists()) return;
  const paused = cgroup.isFrozen();
  if (!paused) cgroup.freeze();
  try {
    act();
  } finally {
    if (!paused) cgroup.thaw();
  }
}

function signalEach(state: ContainerState, signal: number): void {
  for (const pid of processesOf(state)) {
    const startTime = startTimeOf(pid);
    if (startTime !== undefined) send({ pid, startTime }, signal, state.id);
  }
}

/** Kills every process of a container, and does not wait for their end. */
export function killProcesses(state: ContainerState): void {
  if (state.cgroup !== null) Cgroup.at(state.cgroup).kill();
  // Also by its PID: it may not have joined its cgroup yet, or have none.
  signalProcess(initOf(state), SIGKILL);
}

/**
 * Kills every process of a container, and waits until its init has ended.
 *
 * @param purpose what could not be done to the container, if it does not end
 * @throws Error in one line when it still runs after `PATIENCE`
 */
export function killAndWait(state: ContainerState, purpose: 'stop' | 'delete'): void {
  killProcesses(state);
  if (!waitForExit(initOf(state), PATIENCE))
    throw new Error(
      `cannot ${purpose} container ${JSON.stringify(state.id)}: its init (PID ${state.pid}) is still running ` +
        `${PATIENCE / 1000} seconds after SIGKILL`,
    );
}

function send(process: ProcessId, signal: number, id: string): boolean {
  try {
    return signalProcess(process, signal);
  } catch (cause) {
    throw new Error(
      `cannot send signal ${signal} to process ${process.pid} of container ${JSON.stringify(id)}: ` +
        reason(cause),
      { cause },
    );
  }
}

// Engines look for these very words to learn that there is nothing left to kill.
function notRunning(id: string): Error {
  return new Error(`container not running: ${JSON.stringify(id)}`);
}
