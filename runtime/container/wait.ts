import { poll } from '../linux/poll.ts';

/** Milliseconds of one wait in the kernel; a longer one is made of several. */
const LONGEST = 3_600_000;

/**
 * Waits for one descriptor, and goes on waiting when a signal interrupts.
 *
 * @param events what to wait for; POLL.ERR and POLL.HUP come unasked
 * @param milliseconds the longest wait; Infinity waits for ever
 * @returns the events, 0 when the time was over
 * @throws SyscallError
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
