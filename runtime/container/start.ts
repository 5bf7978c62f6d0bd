import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { O, TIO } from '../linux/constants.ts';
import { syscall } from '../linux/syscall.ts';
import { describeExecFailure } from './failure.ts';
import { debug } from './log.ts';
import { type ContainerState, FIFO, readProgress, statusOf } from './state.ts';
import type { ContainerStore } from './store.ts';
import { waitFor } from './wait.ts';

/**
 * Starts the user's program of a created container: the `start` operation of the runtime
 * specification (runtime.md).
 *
 * @throws Error in one line when the container is not in the state `created`, or its program
 *   could not be executed
 */
export function startContainer(store: ContainerStore, id: string): void {
  const lock = store.lock(id);
  try {
    const directory = store.directory(id);
    const state = store.read(id);
    const status = statusOf(state, directory);
    if (status === 'running')
      throw new Error(`cannot start an already running container: ${JSON.stringify(id)}`);
    if (status === 'stopped')
      throw new Error(`cannot start a container that has stopped: ${JSON.stringify(id)}`);
    if (status !== 'created')
      throw new Error(`cannot start a container in the ${status} state: ${JSON.stringify(id)}`);
    releaseInit(state, directory);
  } finally {
    lock.release();
  }
}

/**
 * Lets a waiting init go on, and waits until it has executed the user's program.
 *
 * @param directory the container's state directory
 * @throws Error in one line when the program could not be executed
 */
export function releaseInit({ id, program }: ContainerState, directory: string): void {
  let fifo: number;
  try {
    fifo = openSync(join(directory, FIFO), O.WRONLY | O.NONBLOCK | O.CLOEXEC);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENXIO') throw cause;
    throw new Error(`cannot start a container that has stopped: ${JSON.stringify(id)}`, { cause });
  }
  try {
    writeSync(fifo, '\0');
    debug(`container ${id}: init was told to go on`);
    // The exec closes init's end, and so does its death: no reader is left, which is POLLERR.
    waitFor(fifo, 0, Infinity);
    if (bytesLeftIn(fifo) > 0)
      throw new Error(
        `cannot start container ${JSON.stringify(id)}: its init was killed before it executed ${JSON.stringify(program)}`,
      );
  } finally {
    closeSync(fifo);
  }
  const progress = readProgress(directory);
  if (progress !== undefined && progress.errno !== 0)
    throw new Error(describeExecFailure(program, progress.errno));
}

/** What nobody read: also the writing end of a pipe tells, pipe(7). */
function bytesLeftIn(fifo: number): number {
  const count = new Int32Array(1);
  syscall('ioctl', fifo, TIO.INQ, new Uint8Array(count.buffer));
  return count[0] as number;
}
