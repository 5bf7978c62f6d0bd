import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { writeMessage } from './output.ts';

const STOPPING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What signals ask for. */
interface Stop {
  readonly signal: AbortSignal;
  /** The signal that came, if one came. */
  readonly by: NodeJS.Signals | undefined;
  release(): void;
}

/**
 * The first signal stops in an orderly way; a second one, of any kind, ends the process. What
 * the caller has us ignore (nohup, a shell's background) stays ignored.
 */
function stopOnSignals(): Stop {
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

/** How work that a signal may stop is told of. */
interface Telling {
  /** What the user is told of what is left when it was stopped. */
  readonly left?: string;
  /** Hears the error, also that it was stopped, before anything else is told. */
  readonly reporter?: { failed(message: string): void };
}

/**
 * Does work that a signal may stop.
 *
 * @param work throws the signal's reason when it was stopped, having cleaned up; returns the exit
 *   status, if that may be another than 0; `release` leaves signals to what it does from then on
 * @returns the exit status: the work's, or 128+N after signal N
 * @throws what the work throws for other reasons
 */
export async function stoppable(
  work: (signal: AbortSignal, release: () => void) => Promise<void> | Promise<number>,
  { left, reporter }: Telling = {},
): Promise<number> {
  const stop = stopOnSignals();
  try {
    const status = await work(stop.signal, stop.release);
    return typeof status === 'number' ? status : 0;
  } catch (error) {
    reporter?.failed((error as Error).message);
    if (stop.by === undefined) throw error;
    writeMessage(`stopped by ${stop.by}${left === undefined ? '' : `: ${left}`}`);
    return statusOf(stop.by);
  } finally {
    stop.release();
  }
}

/** The exit status of what a signal ended, as shells have it. */
export function statusOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** Whether a signal is ignored: proc_pid_status(5), SigIgn. */
function isIgnored(signal: number): boolean {
  const mask = /^SigIgn:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  return ((BigInt(`0x${mask ?? '0'}`) >> BigInt(signal - 1)) & 1n) === 1n;
}
