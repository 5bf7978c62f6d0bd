import { Cgroup } from '../cgroups/cgroup.ts';
import { SIGNALS } from '../linux/signals.ts';
import { killAndWait, killContainer } from './kill.ts';
import { debug, warn } from './log.ts';
import { isAlive, waitForExit } from './process.ts';
import { parseSignal, signalName } from './signals.ts';
import { type ContainerState, initOf, statusOf, waitsForStart } from './state.ts';
import type { ContainerStore } from './store.ts';

const { SIGTERM } = SIGNALS;

/** Where image-spec's conversion.md keeps the image's stop signal. */
const STOP_SIGNAL = 'org.opencontainers.image.stopSignal';

/** How a container is asked to end. */
export interface StopOptions {
  /** How long the container gets to end by itself; Infinity waits for ever. */
  readonly milliseconds: number;
  /** Instead of the image's stop signal. */
  readonly signal: number | undefined;
}

/**
 * Ends a container as people mean it: asks its init by a signal, waits, and kills it when it has
 * not ended in time. One that is paused goes on, to see the signal; one that was never started is
 * killed. That it has stopped already is no error.
 *
 * @throws Error in one line when there is no such container, or it may not be signalled, or does
 *   not end even by SIGKILL
 */
export function stopContainer(
  store: ContainerStore,
  id: string,
  { milliseconds, signal }: StopOptions,
): void {
  const state = store.read(id);
  const directory = store.directory(id);
  const status = statusOf(state, directory);
  if (status === 'creating')
    throw new Error(`cannot stop container ${JSON.stringify(id)} while it is being created`);
  if (status !== 'stopped' && !asked(store, state, signal ?? stopSignal(state), milliseconds))
    end(state);
  // Without a PID namespace of its own, the container's other processes outlive its init.
  if (!state.ownPidNamespace && state.cgroup !== null) Cgroup.at(state.cgroup).kill();
}

function stopSignal({ id, annotations }: ContainerState): number {
  const name = annotations[STOP_SIGNAL];
  if (!name) return SIGTERM;
  try {
    return parseSignal(name);
  } catch (error) {
    warn(`container ${id}: ${(error as Error).message}  [/annotations/${STOP_SIGNAL}]`);
    return SIGTERM;
  }
}

/** @returns whether the container ended in time */
function asked(
  store: ContainerStore,
  state: ContainerState,
  signal: number,
  milliseconds: number,
): boolean {
  if (milliseconds === 0 || waitsForStart(store.directory(state.id))) return false;
  debug(`container ${state.id}: ${signalName(signal)} to its init ${state.pid}`);
  if (!reached(store, state, signal)) return true;
  if (state.cgroup !== null && Cgroup.at(state.cgroup).isFrozen()) Cgroup.at(state.cgroup).thaw();
  return waitForExit(initOf(state), milliseconds);
}

/** @returns false when the container ended just before, and perhaps was deleted */
function reached(store: ContainerStore, state: ContainerState, signal: number): boolean {
  try {
    killContainer(store, state.id, signal);
    return true;
  } catch (error) {
    if (!isAlive(initOf(state))) return false;
    throw error;
  }
}

function end(state: ContainerState): void {
  debug(`container ${state.id}: SIGKILL`);
  killAndWait(state, 'stop');
}
