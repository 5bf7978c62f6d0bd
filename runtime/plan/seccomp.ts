import type { Process } from '../../schemas/runtime-config.ts';
import { SECCOMP } from '../linux/constants.ts';
import { giveUpAdmin } from './credentials.ts';
import type { ProcessFacts } from './facts.ts';
import { showInit } from './show.ts';
import { call, flags, type Origin, result, type Step, struct } from './step.ts';

/** Bytes of a `struct sock_filter`. */
const INSTRUCTION = 8;
const SHOW: Origin = { pointer: '/linux/seccomp', why: 'let scow take the seccomp listener' };
const LISTENER = 'listener';
const NO_LISTENER = -1;

/**
 * Loads the container's seccomp filter: the last that init does before it waits for its start.
 * From here on any call may be forbidden, so there are as few as can be, and scow learns what it
 * must know from the progress page.
 */
export function loadFilter(process: Process, facts: ProcessFacts): Step[] {
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
    ...(seccomp.mustShow ? [showInit(SHOW)] : []),
    call('seccomp', [flags('SECCOMP', SECCOMP, 'SET_MODE_FILTER'), seccomp.flags, filter], {
      ...origin,
      result: LISTENER,
    }),
    { kind: 'tell', value: listens ? result(LISTENER) : NO_LISTENER, ...origin },
    ...giveUpAdmin(process, facts),
  ];
}
