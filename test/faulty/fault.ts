/**
 * Faults for tests: in a build of scow for tests (scripts/faulty.ts) the modules of this directory
 * stand in the place of those that make system calls. Each call is numbered in the order in which
 * it is made; one of them fails, or is never made because its maker is killed.
 *
 * The environment says which: `SCOW_FAULT=PLACE:NUMBER:ERRNO`, with `KILL` in the place of an
 * errno. `SCOW_FAULT_LIST=FILE` writes a line `PLACE NUMBER CALL` for each call.
 */
import { appendFileSync } from 'node:fs';

/**
 * Who makes the call: scow itself; the child that is to become init, whose first call is the
 * clone3 it is made by; init.
 */
export type Place = 'scow' | 'launch' | 'init';

/** What becomes of a call: undefined when it is made as ever. */
export type Fault = string | undefined;

export const KILL = 'KILL';

const [place, number, outcome] = (process.env.SCOW_FAULT ?? '').split(':');
const list = process.env.SCOW_FAULT_LIST;
const counts: Record<Place, number> = { scow: 0, launch: 0, init: 0 };

/** Numbers anew: init's calls are numbered as they are compiled, program by program. */
export function restart(where: Place): void {
  counts[where] = 0;
}

/**
 * Counts a call that is about to be made.
 *
 * @param what its name, and what tells it from others
 * @returns the errno's name that it fails with, {@link KILL}, or undefined
 */
export function next(where: Place, what: string): Fault {
  counts[where] += 1;
  if (list !== undefined) appendFileSync(list, `${where} ${counts[where]} ${what}\n`);
  return where === place && counts[where] === Number(number) ? outcome : undefined;
}

/** Like {@link next} for a call of scow itself, which does not survive {@link KILL}. */
export function nextOfScow(what: string): Fault {
  const fault = next('scow', what);
  if (fault === KILL) process.kill(process.pid, 'SIGKILL');
  return fault;
}
