import { PR } from '../linux/constants.ts';
import { closeSync } from '../linux/files.ts';
import { syscall } from '../linux/syscall.ts';
import { type CreateOptions, checkTerminal, create } from './create.ts';
import { forceDeleteContainer } from './delete.ts';
import { standInFor } from './foreground.ts';
import type { NotifySocket } from './notify/socket.ts';
import { listenForReady, startCreated } from './start.ts';
import type { ContainerState } from './state.ts';
import { ContainerStore } from './store.ts';

export interface RunOptions extends CreateOptions {
  /** Return as soon as the program runs. */
  readonly detach: boolean;
  /** Don't delete the container when its program has ended. */
  readonly keep: boolean;
  /** Take in the processes that the container leaves behind, and wait for them too. */
  readonly subreaper: boolean;
}

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
  const { state, pidfd, master } = await create(options, true);
  let notify: NotifySocket | undefined;
  try {
    return await standInFor({ pid: state.pid, pidfd, master }, async () => {
      notify = await listenForReady(store.directory(state.id));
      await startCreated(store, state);
      // It is scow that the host watches: it ends when the program does, and passes signals on.
      notify?.follow(process.pid);
    });
  } finally {
    notify?.close();
    closeSync(pidfd);
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
