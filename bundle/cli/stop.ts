import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

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

/** Whether a signal is ignored: proc_pid_status(5), SigIgn. */
function isIgnored(signal: number): boolean {
  const mask = /^SigIgn:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  return ((BigInt(`0x${mask ?? '0'}`) >> BigInt(signal - 1)) & 1n) === 1n;
}
