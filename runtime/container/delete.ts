import { Cgroup } from '../cgroups/cgroup.ts';
import type { UnitId } from '../cgroups/systemd/scope.ts';
import { SIG } from '../linux/constants.ts';
import { existsSync } from '../linux/files.ts';
import { removeGroups } from './intel-rdt.ts';
import { killAndWait, killProcesses, PATIENCE } from './kill.ts';
import { debug, warn } from './log.ts';
import { signalProcess, waitForExit } from './process.ts';
import { type ContainerState, statusOf } from './state.ts';
import { type ContainerStore, type Lock, NoSuchContainer } from './store.ts';

/**
 * Deletes a stopped container, or one that was created and never started: the `delete`
 * operation of the runtime specification.
 *
 * @throws NoSuchContainer when there is none; what a creation that was cut short left of it is
 *   removed all the same
 * @throws Error in one line when the container is in another state
 */
export async function deleteContainer(store: ContainerStore, id: string): Promise<void> {
  const directory = store.directory(id);
  // Not under the lock: whoever creates it holds that for as long as it takes.
  const early = readIfThere(store, id);
  if (early !== undefined && statusOf(early, directory) === 'creating')
    throw notStopped(id, 'creating');
  const lock = store.lock(id);
  try {
    const state = readIfThere(store, id);
    if (state === undefined) {
      store.remove(id);
      throw new NoSuchContainer(id, store.root);
    }
    const status = statusOf(state, directory);
    if (status !== 'stopped' && status !== 'created') throw notStopped(id, status);
    await destroy(store, state);
  } finally {
    lock.release();
  }
}

/**
 * Deletes a container in whatever state: kills its processes, and removes its cgroup and its
 * state. A container that does not exist is no error.
 *
 * @throws Error in one line when processes do not end, or something cannot be removed
 */
export async function forceDeleteContainer(store: ContainerStore, id: string): Promise<void> {
  if (!existsSync(store.directory(id))) return;
  let lock: Lock;
  try {
    lock = lockByForce(store, id);
  } catch (error) {
    if (error instanceof NoSuchContainer) return;
    throw error;
  }
  try {
    const state = readIfThere(store, id);
    if (state === undefined) store.remove(id);
    else await destroy(store, state);
  } finally {
    lock.release();
  }
}

/**
 * Takes the lock from whoever is at work on the container. Its init is killed, upon which an
 * unfinished `create` or `start` fails and cleans up by itself; a creator that does not is killed.
 */
function lockByForce(store: ContainerStore, id: string): Lock {
  const lock = store.tryLock(id);
  if (lock !== undefined) return lock;
  const state = readIfThere(store, id);
  if (state !== undefined) {
    debug(`container ${id} is locked: killing its processes`);
    killProcesses(state);
    const launcher = state.launchedBy;
    if (launcher !== null && !waitForExit(launcher, PATIENCE)) signalProcess(launcher, SIG.KILL);
  }
  return store.lock(id);
}

/**
 * Ends what is left of the container's processes, removes everything of it, and runs the hooks
 * that follow. For who holds its lock.
 */
export async function destroy(store: ContainerStore, state: ContainerState): Promise<void> {
  killAndWait(state, 'delete');
  if (state.unit !== undefined) await stopUnit(state.unit);
  if (state.cgroup !== null) Cgroup.at(state.cgroup).remove();
  if (state.intelRdt !== undefined) removeGroups(state.intelRdt);
  // Before the state goes: a deletion that is cut short here can be made again.
  if (state.hooks?.poststop?.length) (await import('./hooks/run.ts')).runPoststopHooks(state);
  store.remove(state.id);
}

/** Where systemd does not answer, a unit without processes ends by itself as soon as it does. */
async function stopUnit(unit: UnitId): Promise<void> {
  try {
    (await import('../cgroups/systemd/scope.ts')).stopUnit(unit);
  } catch (error) {
    warn(`${(error as Error).message}: the unit ${unit.name} is left to systemd`);
  }
}

function readIfThere(store: ContainerStore, id: string): ContainerState | undefined {
  try {
    return store.read(id);
  } catch (error) {
    if (error instanceof NoSuchContainer) return undefined;
    throw error;
  }
}

function notStopped(id: string, status: string): Error {
  return new Error(
    `cannot delete container ${id} that is not stopped: ${status} (delete --force kills it first)`,
  );
}
