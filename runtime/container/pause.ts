import { Cgroup } from '../cgroups/cgroup.ts';
import { type ContainerState, statusOf } from './state.ts';
import type { ContainerStore } from './store.ts';

/**
 * Makes all processes of a container stand still, and waits until they do (cgroup.freeze of the
 * kernel's cgroup-v2.rst). A created container can be paused too.
 *
 * @throws Error in one line when the container does not run, has no cgroup of its own, or a
 *   process does not stand still in time; all go on then
 */
export function pauseContainer(store: ContainerStore, id: string): void {
  // Under the lock no `start` is under way, which would wait for a program that stands still.
  const lock = store.lock(id);
  try {
    const state = store.read(id);
    const status = statusOf(state, store.directory(id));
    // Engines know this case by its first words, also where the container is paused already.
    if (status !== 'running' && status !== 'created')
      throw new Error(`container not running: ${JSON.stringify(id)} is ${status}`);
    cgroupOf(state, 'pause').freeze();
  } finally {
    lock.release();
  }
}

/**
 * Lets the processes of a paused container go on.
 *
 * @throws Error in one line when the container is not paused, or a cgroup above its own is frozen
 */
export function resumeContainer(store: ContainerStore, id: string): void {
  const lock = store.lock(id);
  try {
    const state = store.read(id);
    const status = statusOf(state, store.directory(id));
    if (status !== 'paused')
      throw new Error(`container not paused: ${JSON.stringify(id)} is ${status}`);
    cgroupOf(state, 'resume').thaw();
  } finally {
    lock.release();
  }
}

function cgroupOf({ id, cgroup }: ContainerState, doing: string): Cgroup {
  if (cgroup === null)
    throw new Error(
      `cannot ${doing} container ${JSON.stringify(id)}: it has no cgroup of its own ` +
        '(an ordinary user has none without delegation, systemd: Delegate=yes)',
    );
  return Cgroup.at(cgroup);
}
