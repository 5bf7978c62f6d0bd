import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { isGone } from '../cgroups/events.ts';
import { POLL } from '../linux/constants.ts';
import { poll } from '../linux/poll.ts';
import { codeOf } from '../linux/reason.ts';
import { statusOf } from './state.ts';
import type { ContainerStore } from './store.ts';

/**
 * The cgroup of a container that has one and has not stopped.
 *
 * @returns the path of its directory
 * @throws Error in one line when there is none
 */
export function watchedCgroup(store: ContainerStore, id: string): string {
  const state = store.read(id);
  if (statusOf(state, store.directory(id)) === 'stopped')
    throw new Error(`container not running: ${JSON.stringify(id)} is stopped`);
  if (state.cgroup === null)
    throw new Error(
      `container ${JSON.stringify(id)} has no cgroup of its own: nothing counts for it`,
    );
  return state.cgroup;
}

/** What `watchCgroup` tells of. */
export interface Watcher {
  /** A process was killed because the memory limit was reached. */
  onOutOfMemory(): void;
  /** The interval is over. May throw that the cgroup is gone. */
  onInterval(): void;
}

/**
 * Watches a cgroup until no process is left in it, asleep in between: the kernel reports changes of
 * memory.events and cgroup.events to who polls for them (cgroup-v2.rst).
 *
 * @param path the cgroup's directory
 * @param interval milliseconds
 */
export function watchCgroup(path: string, interval: number, watcher: Watcher): void {
  const life = open(path, 'cgroup.events');
  const memory = open(path, 'memory.events');
  const files = [life, memory].filter((fd) => fd !== undefined);
  try {
    let killed = memory === undefined ? 0 : number(memory, 'oom_kill');
    let next = performance.now() + interval;
    while (life !== undefined && number(life, 'populated') === 1) {
      const left = Math.max(0, Math.ceil(next - performance.now()));
      poll(
        files.map((fd) => ({ fd, events: POLL.PRI })),
        left,
      );
      const now = memory === undefined ? 0 : number(memory, 'oom_kill');
      for (; killed < now; killed++) watcher.onOutOfMemory();
      if (performance.now() < next) continue;
      try {
        watcher.onInterval();
      } catch (error) {
        if (!isGone(error)) throw error;
      }
      next += interval;
    }
  } finally {
    for (const fd of files) closeSync(fd);
  }
}

function open(path: string, file: string): number | undefined {
  try {
    return openSync(join(path, file), 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A key's number in a file of keys; 0 when the cgroup is gone. Reading arms the next poll. */
function number(fd: number, key: string): number {
  const buffer = Buffer.alloc(1024);
  try {
    const text = buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
    return Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  } catch (error) {
    if (codeOf(error) === 'ENODEV') return 0;
    throw error;
  }
}
