import type { Process } from '../../schemas/runtime-config.ts';
import { PR, SECCOMP } from '../linux/constants.ts';
import { giveUpAdmin } from './credentials.ts';
import type { ProcessFacts, ProcessOptions } from './facts.ts';
import { call, flags, type Origin, result, type Step, struct } from './step.ts';

/** Bytes of a `struct sock_filter`. */
const INSTRUCTION = 8;
/** After the standard streams. */
const FIRST_DESCRIPTOR = 3;
const LISTENER = 'listener';
const NO_LISTENER = -1;

/**
 * Loads the container's seccomp filter: the last that init does before it waits for its start.
 * From here on any call may be forbidden, so there are as few as can be, and scow learns what it
 * must know from the progress page.
 */
export function loadFilter(process: Process, facts: ProcessFacts, options: ProcessOptions): Step[] {
  const { seccomp } = facts;
  if (seccomp === undefined) return [];
  const { program, listens } = seccomp;
  const origin: Origin = { pointer: '/linux/seccomp', why: 'load the seccomp filter' };
  const filter = struct(
    'sock_fprog',
    ['len', 2, program.byteLength / INSTRUCTION],
    ['padding', 2, 0],
    ['padding', 4, 0],
    ['filter', 8, { bytes: program }],
  );
  return [
    ...(seccomp.mustShow ? showInit(options) : []),
    call('seccomp', [flags('SECCOMP', SECCOMP, 'SET_MODE_FILTER'), seccomp.flags, filter], {
      ...origin,
      result: LISTENER,
    }),
    { kind: 'tell', value: listens ? result(LISTENER) : NO_LISTENER, ...origin },
    ...giveUpAdmin(process, facts),
  ];
}

/**
 * Lets processes with the same privileges look into init: scow, but others in its PID namespace
 * too. So it keeps nothing that is worth a look: of its own descriptors only the first three, which
 * are the talk with scow, the progress page and what it waits at.
 */
function showInit({ preserveFds, preserved }: ProcessOptions): Step[] {
  const origin: Origin = { pointer: '/linux/seccomp', why: 'let scow take the seccomp listener' };
  const own = FIRST_DESCRIPTOR + preserveFds;
  const kept = [...preserved, own, own + 1, own + 2];
  const starts = [FIRST_DESCRIPTOR, ...kept.map((fd) => fd + 1)];
  return [
    ...starts.flatMap((start, i) => {
      const end = (kept[i] ?? 2 ** 32) - 1;
      return end < start ? [] : [call('close_range', [start, end, 0], origin)];
    }),
    call('prctl', [flags('PR', PR, 'SET_DUMPABLE'), 1, 0, 0, 0], origin),
  ];
}
