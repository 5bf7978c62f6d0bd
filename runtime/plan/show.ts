import { PR } from '../linux/constants.ts';
import type { ProcessOptions } from './facts.ts';
import { call, flags, type Origin, type Step } from './step.ts';

/** After the standard streams. */
const FIRST_DESCRIPTOR = 3;
/** The talk with scow, the progress page, and what init waits at: the first that a plan lists. */
const NEEDED = 3;

/**
 * Lets processes with the same privileges look into init, ptrace(2): a scow of an ordinary user,
 * which may not look into a process that can't be dumped, but others in its PID namespace too. So
 * init keeps nothing that is worth a look: of its own descriptors only those that it needs.
 */
export function showInit({ preserveFds, preserved }: ProcessOptions, origin: Origin): Step[] {
  const own = FIRST_DESCRIPTOR + preserveFds;
  const kept = [...preserved, ...Array.from({ length: NEEDED }, (_, i) => own + i)];
  const starts = [FIRST_DESCRIPTOR, ...kept.map((fd) => fd + 1)];
  return [
    ...starts.flatMap((start, i) => {
      const end = (kept[i] ?? 2 ** 32) - 1;
      return end < start ? [] : [call('close_range', [start, end, 0], origin)];
    }),
    call('prctl', [flags('PR', PR, 'SET_DUMPABLE'), 1, 0, 0, 0], origin),
  ];
}
