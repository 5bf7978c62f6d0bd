import { Cgroup } from '../cgroups/cgroup.ts';
import { O, TIO } from '../linux/constants.ts';
import { closeSync, openSync, writeSync } from '../linux/files.ts';
import { join } from '../linux/path.ts';
import { poll, waitFor } from '../linux/poll.ts';
import { syscall } from '../linux/syscall.ts';
import { GO, INIT_NAME } from '../plan/program.ts';
import { destroy, forceDeleteContainer } from './delete.ts';
import { execFailure, InitFailure } from './failure.ts';
import { debug } from './log.ts';
import type { NotifySocket } from './notify/socket.ts';
import { explainMemory } from './out-of-memory.ts';
import { isAlive, nameOf, type ProcessId } from './process.ts';
import { type ContainerState, FIFO, initOf, readProgress, statusOf } from './state.ts';
import type { ContainerStore } from './store.ts';

/**
 * Starts the user's program of a created container: the `start` operation of the runtime
 * specification (runtime.md).
 *
 * @throws Error in one line when the container is not in the state `created`, its program could
 *   not be executed, or a hook failed: then the container is deleted
 */
export async function startContainer(store: ContainerStore, id: string): Promise<void> {
  const notify = await listenForReady(store.directory(id));
  const { pid } = await startUnderLock(store, id);
  notify?.wait(pid);
}

/** For a container whose program is to say when it is ready: NOTIFY_SOCKET, sd_notify(3). */
export async function listenForReady(directory: string): Promise<NotifySocket | undefined> {
  const address = process.env.NOTIFY_SOCKET;
  if (!address) return undefined;
  return (await import('./notify/socket.ts')).NotifySocket.listen(directory, address);
}

async function startUnderLock(store: ContainerStore, id: string): Promise<ContainerState> {
  const lock = store.lock(id);
  let state: ContainerState;
  try {
    state = createdState(store, id);
    await runStartContainerHooks(store, state);
    release(store, state);
  } finally {
    lock.release();
  }
  await runPoststartHooks(store, state);
  return state;
}

/** The same for a container that nobody else knows of yet. */
export async function startCreated(store: ContainerStore, state: ContainerState): Promise<void> {
  if (state.hooks?.startContainer?.length) {
    await startUnderLock(store, state.id);
    return;
  }
  release(store, state);
  await runPoststartHooks(store, state);
}

/** Under the lock: a container whose hooks fail is deleted at once. */
async function runStartContainerHooks(store: ContainerStore, state: ContainerState): Promise<void> {
  if (!state.hooks?.startContainer?.length) return;
  const { runStartHooks } = await import('./hooks/start.ts');
  try {
    runStartHooks(state, store.readConfig(state.id));
  } catch (error) {
    await destroy(store, state);
    throw error;
  }
}

/** Not under the lock: a hook that hangs must not keep others from deleting the container. */
async function runPoststartHooks(store: ContainerStore, state: ContainerState): Promise<void> {
  if (!state.hooks?.poststart?.length) return;
  const { runHooks } = await import('./hooks/run.ts');
  try {
    runHooks('poststart', state, { status: 'running', pid: state.pid });
  } catch (error) {
    await forceDeleteContainer(store, state.id);
    throw error;
  }
}

/** @throws Error in one line unless the container waits for its start */
function createdState(store: ContainerStore, id: string): ContainerState {
  const state = store.read(id);
  const status = statusOf(state, store.directory(id));
  if (status === 'running')
    throw new Error(`cannot start an already running container: ${JSON.stringify(id)}`);
  if (status === 'stopped')
    throw new Error(`cannot start a container that has stopped: ${JSON.stringify(id)}`);
  if (status !== 'created')
    throw new Error(`cannot start a container in the ${status} state: ${JSON.stringify(id)}`);
  return state;
}

/** @throws Error in one line when the program could not be executed */
function release(store: ContainerStore, state: ContainerState): void {
  try {
    releaseInit(state, store.directory(state.id));
  } catch (error) {
    if (state.cgroup === null) throw error;
    const cgroup = Cgroup.at(state.cgroup);
    const doing = `execute ${JSON.stringify(state.program)}`;
    throw explainMemory(error as Error, doing, cgroup, () => store.readConfig(state.id));
  }
}

/**
 * Lets a waiting init go on, and waits until it has executed the user's program.
 *
 * @param directory the container's state directory
 * @throws InitFailure when the program could not be executed
 */
function releaseInit(state: ContainerState, directory: string): void {
  const { id, program } = state;
  let fifo: number;
  try {
    fifo = openSync(join(directory, FIFO), O.WRONLY | O.NONBLOCK | O.CLOEXEC);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENXIO') throw cause;
    throw new Error(`cannot start a container that has stopped: ${JSON.stringify(id)}`, { cause });
  }
  try {
    writeSync(fifo, Uint8Array.of(GO));
    debug(`container ${id}: init was told to go on`);
    // The exec closes init's end, and so does its death: no reader is left, which is POLLERR.
    waitFor(fifo, 0, Infinity);
    const told = bytesLeftIn(fifo) === 0;
    const errno = readProgress(directory)?.errno ?? 0;
    // An init that says why it can't go on may still be killed: a profile can forbid it to end.
    if (told && errno !== 0) throw execFailure(program, errno);
    if (!told || diedAsInit(initOf(state)))
      throw new InitFailure(
        `cannot start container ${JSON.stringify(id)}: its init was killed before it executed ${JSON.stringify(program)}`,
        'SIGKILL',
      );
  } finally {
    closeSync(fifo);
  }
}

/**
 * Whether a process that closed its end of the FIFO did so by ending, and not by an exec, which
 * gives it the program's name a moment later. Of one that was waited for already nothing is known.
 */
function diedAsInit(init: ProcessId): boolean {
  while (nameOf(init.pid) === INIT_NAME) {
    if (!isAlive(init)) return true;
    poll([], 1);
  }
  return false;
}

/** What nobody read: also the writing end of a pipe tells, pipe(7). */
function bytesLeftIn(fifo: number): number {
  const count = new Int32Array(1);
  syscall('ioctl', fifo, TIO.INQ, new Uint8Array(count.buffer));
  return count[0] as number;
}
