import { errnoCode } from './errno.ts';
import { SyscallError, trySyscall } from './syscall.ts';

/** A descriptor to wait for, and the events (POLL) to wait for on it. */
export interface PollRequest {
  readonly fd: number;
  readonly events: number;
}

/** Milliseconds of one wait in the kernel; a longer one is made of several. */
const LONGEST = 3_600_000;

/** `struct pollfd`, poll(2). */
const POLLFD = { fd: 0, events: 4, revents: 6, size: 8 } as const;

/**
 * Waits with poll(2) until a descriptor is ready, a signal arrives or the time is over.
 *
 * @param requests what to wait for; POLLERR and POLLHUP are always waited for
 * @param timeout in milliseconds; 0 looks without waiting, -1 waits for ever
 * @returns what happened to each descriptor, in order: all 0 when the time was up;
 *   undefined when a signal ended the wait
 * @throws SyscallError when poll fails
 */
export function poll(requests: readonly PollRequest[], timeout: number): number[] | undefined {
  const view = new DataView(new ArrayBuffer(POLLFD.size * requests.length));
  const table = new Uint8Array(view.buffer);
  for (const [i, { fd, events }] of requests.entries()) {
    view.setInt32(POLLFD.size * i + POLLFD.fd, fd, true);
    view.setInt16(POLLFD.size * i + POLLFD.events, events, true);
  }
  const result = trySyscall('poll', table, requests.length, timeout);
  if (result === -errnoCode('EINTR')) return undefined;
  if (result < 0) throw new SyscallError('poll', [table, requests.length, timeout], -result);
  return requests.map((_, i) => view.getUint16(POLLFD.size * i + POLLFD.revents, true));
}

/**
 * Waits for one descriptor, and goes on waiting when a signal interrupts.
 *
 * @param events what to wait for; POLL.ERR and POLL.HUP come unasked
 * @param milliseconds the longest wait; Infinity waits for ever
 * @returns the events, 0 when the time was over
 * @throws SyscallError when poll fails
 */
export function waitFor(fd: number, events: number, milliseconds: number): number {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    const left = Math.max(0, Math.ceil(deadline - performance.now()));
    const [happened] = poll([{ fd, events }], Math.min(left, LONGEST)) ?? [];
    if (happened) return happened;
    if (happened === 0 && left <= LONGEST) return 0;
  }
}
