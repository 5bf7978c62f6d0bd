import { closeSync } from 'node:fs';
import { PR, W } from '../linux/constants.ts';
import { syscall, trySyscall } from '../linux/syscall.ts';
import { type Created, type CreateOptions, checkTerminal, create } from './create.ts';
import { forceDeleteContainer } from './delete.ts';
import { forwardSignals } from './forward.ts';
import type { NotifySocket } from './notify/socket.ts';
import { listenForReady, startCreated } from './start.ts';
import type { ContainerState } from './state.ts';
import { ContainerStore } from './store.ts';
import { type Relay, startRelay } from './terminal/relay.ts';

export interface RunOptions extends CreateOptions {
  /** Return as soon as the program runs. */
  readonly detach: boolean;
  /** Don't delete the container when its program has ended. */
  readonly keep: boolean;
  /** Take in the processes that the container leaves behind, and wait for them too. */
  readonly subreaper: boolean;
}

/** Milliseconds between looks at the program, for a SIGCHLD that came before its handler. */
const LOOK = 500;

/**
 * Creates and starts a container, and in the foreground waits for its program and deletes it.
 *
 * @returns the program's exit status, 128 plus the number of the signal that killed it; 0 when detached
 * @throws Error in one line; nothing is left behind then
 */
export async function runContainer(options: RunOptions): Promise<number> {
  const store = new ContainerStore(options.root);
  if (options.detach) {
    checkTerminal(options);
    const { state, pidfd } = await create(options, false);
    closeSync(pidfd);
    await startOrDelete(store, state);
    return 0;
  }
  if (options.subreaper) syscall('prctl', PR.SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const created = await create(options, true);
  try {
    return await follow(store, created);
  } finally {
    if (!options.keep) await forceDeleteContainer(store, options.id);
  }
}

async function startOrDelete(store: ContainerStore, state: ContainerState): Promise<void> {
  try {
    const notify = await listenForReady(store.directory(state.id));
    await startCreated(store, state);
    notify?.wait(state.pid);
  } catch (error) {
    await forceDeleteContainer(store, state.id);
    throw error;
  }
}

/** Stands in for the program: its terminal, its signals, its exit status. */
async function follow(store: ContainerStore, { state, pidfd, master }: Created): Promise<number> {
  const relay: Relay | undefined =
    master === undefined ? undefined : startRelay({ master, input: 0, output: 1 });
  const stopForwarding = forwardSignals(pidfd, relay !== undefined);
  let notify: NotifySocket | undefined;
  try {
    notify = await listenForReady(store.directory(state.id));
    await startCreated(store, state);
    // It is scow that the host watches: it ends when the program does, and passes signals on.
    notify?.follow(process.pid);
    const status = await exitOf(state.pid);
    // From here a signal is for scow itself: nobody may read the last of the output.
    stopForwarding();
    await relay?.finish();
    return status;
  } finally {
    notify?.close();
    stopForwarding();
    relay?.restore();
    closeSync(pidfd);
  }
}

/** Waits for a child among all that end, in turns with the engine's event loop. */
function exitOf(pid: number): Promise<number> {
  return new Promise((resolve) => {
    const look = () => {
      const status = reap(pid);
      if (status === undefined) return;
      clearInterval(timer);
      process.off('SIGCHLD', look);
      resolve(status);
    };
    process.on('SIGCHLD', look);
    const timer = setInterval(look, LOOK);
    look();
  });
}

/** Waits for every child that has ended. @returns the exit status of `pid` if it is one of them */
function reap(pid: number): number | undefined {
  const status = new Int32Array(1);
  for (;;) {
    const child = trySyscall('wait4', -1, new Uint8Array(status.buffer), W.NOHANG, 0);
    if (child <= 0) return undefined;
    const value = status[0] as number;
    const signal = value & 0x7f;
    if (child === pid) return signal === 0 ? (value >> 8) & 0xff : 128 + signal;
  }
}
