import { SIGNALS } from '../linux/signals.ts';
import { trySyscall } from '../linux/syscall.ts';

/**
 * Signals that are scow's own: two cannot be caught, one says that a child ended, those of
 * faults are about scow's own code, and a write to a closed pipe is an error to be reported.
 */
const OWN: ReadonlySet<string> = new Set([
  'SIGKILL',
  'SIGSTOP',
  'SIGCHLD',
  'SIGPIPE',
  'SIGSEGV',
  'SIGBUS',
  'SIGFPE',
  'SIGILL',
  'SIGTRAP',
  'SIGABRT',
  'SIGIOT',
  'SIGSYS',
  'SIGSTKFLT',
  'SIGUNUSED',
  'SIGURG',
  'SIGPROF',
  'SIGPOLL',
  'SIGPWR',
]);

/**
 * Passes every signal that this process gets on to the container's program, so that who
 * signals scow in the foreground means the program.
 *
 * @param pidfd descriptor of the program
 * @param terminal the relay follows the window's size, and tells the program by itself
 * @returns a function that ends it
 */
export function forwardSignals(pidfd: number, terminal: boolean): () => void {
  const handlers = new Map<NodeJS.Signals, () => void>();
  for (const [name, number] of Object.entries(SIGNALS) as [NodeJS.Signals, number][]) {
    if (OWN.has(name) || (terminal && name === 'SIGWINCH')) continue;
    // A program that is gone, or of another user by now, is no error of the sender's.
    const handler = () => void trySyscall('pidfd_send_signal', pidfd, number, 0, 0);
    handlers.set(name, handler);
    process.on(name, handler);
  }
  return () => {
    for (const [name, handler] of handlers) process.off(name, handler);
  };
}
