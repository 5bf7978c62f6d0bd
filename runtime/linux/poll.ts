import { constants } from 'node:os';
import { SyscallError, trySyscall } from './syscall.ts';

/** A descriptor to wait for, and the events (POLL) to wait for on it. */
export interface PollRequest {
  readonly fd: number;
  readonly events: number;
}

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
  if (result === -constants.errno.EINTR) return undefined;
  if (result < 0) throw new SyscallError('poll', [table, requests.length, timeout], -result);
  return requests.map((_, i) => view.getUint16(POLLFD.size * i + POLLFD.revents, true));
}

/**
 * Waits for one descriptor, and goes on waiting when a signal interrupts.
 *
 * @param events what to wait for; POLLERR and POLLHUP are always waited for
 * @param timeout in milliseconds; -1 waits for ever
 * @returns what happened, 0 when the time was up
 * @throws SyscallError when poll fails
 */
export function pollOne(fd: number, events: number, timeout: number): number {
  const deadline = Date.now() + timeout;
  for (;;) {
    const left = timeout < 0 ? -1 : Math.max(0, deadline - Date.now());
    const happened = poll([{ fd, events }], left);
    if (happened !== undefined) return happened[0] ?? 0;
  }
}
