import { W } from '../linux/constants.ts';
import { trySyscall } from '../linux/syscall.ts';
import { exitStatus } from '../linux/wait-status.ts';
import { forwardSignals } from './forward.ts';
import { type Relay, startRelay } from './terminal/relay.ts';

/** Milliseconds between looks at the program, for a SIGCHLD that came before its handler. */
const LOOK = 500;

/** A child of this process that is, or is about to become, a program of the user. */
export interface ForegroundProcess {
  readonly pid: number;
  readonly pidfd: number;
  /** The master of its terminal, when it has one that this process holds. */
  readonly master: number | undefined;
}

/**
 * Stands in for a program: its terminal, its signals, its exit status. Closes the terminal.
 *
 * @param release lets the program begin, once its terminal and signals are cared for
 * @returns its exit status, 128 plus the number of the signal that killed it
 * @throws what `release` throws
 */
export async function standInFor(
  { pid, pidfd, master }: ForegroundProcess,
  release: () => void | Promise<void>,
): Promise<number> {
  const relay: Relay | undefined =
    master === undefined ? undefined : startRelay({ master, input: 0, output: 1 });
  const stopForwarding = forwardSignals(pidfd, relay !== undefined);
  try {
    await release();
    const status = await exitOf(pid);
    // From here a signal is for scow itself: nobody may read the last of the output.
    stopForwarding();
    await relay?.finish();
    return status;
  } finally {
    stopForwarding();
    relay?.restore();
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
    if (child === pid) return exitStatus(status[0] as number);
  }
}
