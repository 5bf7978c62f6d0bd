import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTimeOf } from '../../runtime/container/process.ts';
import { type ContainerState, FIFO, timestamp } from '../../runtime/container/state.ts';
import type { ContainerStore } from '../../runtime/container/store.ts';
import { eventually } from './scow.ts';

const children: ChildProcess[] = [];

/** A shell that does what a container's init does with the FIFO, and then executes `sleep`. */
const INIT = 'exec 3<>"$1"; echo ready; read -r -N 1 -u 3; exec 3<&-; exec sleep 1000';

/**
 * Puts a container into the store whose init is an ordinary process that waits at the FIFO: for
 * what can be tested without creating a real container.
 *
 * @param changes fields of its state that are not the usual ones
 */
export async function standIn(
  store: ContainerStore,
  id: string,
  changes: Partial<ContainerState> = {},
): Promise<ContainerState> {
  store.create(id).release();
  const fifo = join(store.directory(id), FIFO);
  spawnSync('mkfifo', [fifo]);
  const ready = join(store.directory(id), 'ready');
  const child = spawn('bash', ['-c', INIT, 'init', fifo], {
    stdio: ['ignore', openSync(ready, 'w'), 'ignore'],
  });
  children.push(child);
  const pid = child.pid ?? 0;
  const state: ContainerState = {
    ociVersion: '1.0.2',
    id,
    bundle: '/bundle',
    rootfs: '/bundle/rootfs',
    annotations: {},
    created: timestamp(),
    owner: 0,
    pid,
    startTime: startTimeOf(pid) ?? '',
    ownPidNamespace: true,
    cgroup: null,
    noNewKeyring: false,
    terminal: false,
    program: 'sh',
    launchedBy: null,
    ...changes,
  };
  store.write(state);
  await eventually(() => readFileSync(ready, 'utf8') !== '');
  return state;
}

/** Ends every stand-in. For `afterEach`, before the store is removed. */
export function endStandIns(): void {
  for (const child of children.splice(0)) child.kill('SIGKILL');
}
