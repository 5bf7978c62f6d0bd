import { SIGNALS } from '../linux/signals.ts';

/** Real-time signals as the C library numbers them: it keeps 32 and 33 for itself, signal(7). */
const RTMIN = 34;
const RTMAX = 64;

/**
 * The number of a signal, as users and engines write it: a number, or a name in upper or lower
 * case with or without `SIG`, also `RTMIN+n` and `RTMAX-n`. 0 only asks whether a process is there.
 *
 * @throws Error for what is no signal of Linux
 */
export function parseSignal(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : named(text.toUpperCase().replace(/^SIG/, ''));
  if (number === undefined || number > RTMAX)
    throw new Error(
      `unknown signal ${JSON.stringify(text)}: give a name such as TERM, SIGKILL or RTMIN+1, or a number up to ${RTMAX}`,
    );
  return number;
}

function named(name: string): number | undefined {
  const realTime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (name === 'CLD') return SIGNALS.SIGCHLD;
  if (realTime === null) return (SIGNALS as Record<string, number>)[`SIG${name}`];
  const base = realTime[1] === 'MIN' ? RTMIN : RTMAX;
  const distance = Number(realTime[3] ?? 0);
  const number = realTime[2] === '-' ? base - distance : base + distance;
  return number >= RTMIN && number <= RTMAX ? number : undefined;
}

/** The name of a signal, such as SIGKILL; real-time signals and unknown ones by number. */
export function signalName(number: number): string {
  const found = Object.entries(SIGNALS).find(([, value]) => value === number);
  return found === undefined ? `signal ${number}` : found[0];
}
