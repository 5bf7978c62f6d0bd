import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { writeMessage } from './output.ts';

const STOPPING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What signals ask for. */
export interface Stop {
  readonly signal: AbortSignal;
  /** The signal that came, if one came. */
  readonly by: NodeJS.Signals | undefined;
  release(): void;
}

/**
 * The first signal stops in an orderly way; a second one, of any kind, ends the process. What
 * the caller has us ignore (nohup, a shell's background) stays ignored.
 */
export function stopOnSignals(): Stop {
  const names = STOPPING.filter((name) => !isIgnored(constants.signals[name]));
  const controller = new AbortController();
  let by: NodeJS.Signals | undefined;
  const handle = (name: NodeJS.Signals) => {
    by = name;
    release();
    controller.abort(new Error(`stopped by ${name}`));
  };
  const release = () => {
    for (const name of names) process.off(name, handle);
  };
  for (const name of names) process.on(name, handle);
  return {
    signal: controller.signal,
    get by() {
      return by;
    },
    release,
  };
}

/**
 * Does work that a signal may stop.
 *
 * @param work throws the signal's reason when it was stopped, having cleaned up
 * @param left what the user is told then of what is left
 * @returns the exit status: 0, or 128+N after signal N
 * @throws what the work throws for other reasons
 */
export async function stoppable(
  work: (signal: AbortSignal) => Promise<void>,
  left?: string,
): Promise<number> {
  const stop = stopOnSignals();
  try {
    await work(stop.signal);
    return 0;
  } catch (error) {
    if (stop.by === undefined) throw error;
    writeMessage(`stopped by ${stop.by}${left === undefined ? '' : `: ${left}`}`);
    return 128 + constants.signals[stop.by];
  } finally {
    stop.release();
  }
}

/** Whether a signal is ignored: proc_pid_status(5), SigIgn. */
function isIgnored(signal: number): boolean {
  const mask = /^SigIgn:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  return ((BigInt(`0x${mask ?? '0'}`) >> BigInt(signal - 1)) & 1n) === 1n;
}
