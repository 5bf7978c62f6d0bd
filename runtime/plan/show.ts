import { PR } from '../linux/constants.ts';
import { call, flags, type Origin, type Step } from './step.ts';

/**
 * Lets processes with the same privileges look into init, ptrace(2): a scow of an ordinary user,
 * which may not look into a process that can't be dumped, but others in its PID namespace too.
 * When this is done init keeps nothing that is worth a look (see `closeSurplus`).
 */
export function showInit(origin: Origin): Step {
  return call('prctl', [flags('PR', PR, 'SET_DUMPABLE'), 1, 0, 0, 0], origin);
}
