import type { Process, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { PR } from '../linux/constants.ts';
import { ownAttributes } from './attributes.ts';
import { credentials } from './credentials.ts';
import type { ProcessFacts, ProcessOptions } from './facts.ts';
import { defaultSignals } from './hooks.ts';
import { apparmorProfile, selinuxLabel, withLabelledKeys } from './labels.ts';
import type { DescriptorRequest } from './plan.ts';
import {
  checkDirectory,
  enterDirectory,
  findProgram,
  HOME,
  INIT_NAME,
  needsHome,
  processAttributes,
} from './program.ts';
import { call, flags, type Step, type Value } from './step.ts';
import { ROOT } from './targets.ts';
import { MASTER } from './terminal.ts';

const KEYCTL_JOIN_SESSION_KEYRING = 1;

/** The talk with scow, the progress page, and what init waits at before it becomes the program. */
export const OWN_DESCRIPTORS: readonly DescriptorRequest[] = [
  { name: 'control', source: { kind: 'control' }, pointer: '' },
  { name: 'progress', source: { kind: 'progress' }, pointer: '' },
  { name: 'fifo', source: { kind: 'fifo' }, pointer: '' },
];

/** Limits are set from outside, before a fork or a change of user gets in between. */
export const AWAIT_LIMITS: Step = {
  kind: 'report',
  point: 'limits',
  answer: {},
  pointer: '/process/rlimits',
  why: 'have resource limits set',
};

/** What init does first, whatever it becomes. */
export function beginInit(process: Process, facts: ProcessFacts, options: ProcessOptions): Step[] {
  const origin = { pointer: '', why: 'set init up' };
  const steps: Step[] = [
    call('prctl', [flags('PR', PR, 'SET_NAME'), INIT_NAME, 0, 0, 0], origin),
    call('umask', [0], origin),
    ...defaultSignals(facts.ignoredSignals),
  ];
  if (!options.noNewKeyring) steps.push(...withLabelledKeys(process, [sessionKeyring(options.id)]));
  return steps;
}

function sessionKeyring(id: string): Step {
  return call('keyctl', [KEYCTL_JOIN_SESSION_KEYRING, `_ses.${id}`, 0, 0, 0], {
    pointer: '',
    why: 'make a session keyring (--no-new-keyring does without)',
    tolerate: ['ENOSYS'],
  });
}

/** Init is where the container's files are: scow reads from them what only they can tell. */
export function handOver(process: Process): Step {
  const send: Value[] = process.terminal ? [ROOT, MASTER] : [ROOT];
  const answer = needsHome(process) ? { into: HOME } : {};
  return {
    kind: 'report',
    point: 'mounted',
    send,
    answer,
    pointer: '',
    why: 'hand the root filesystem over',
  };
}

/** The process as its configuration has it, short of executing its program. */
export function becomeProcess(
  config: RuntimeConfig,
  process: Process,
  facts: ProcessFacts,
  options: ProcessOptions,
): Step[] {
  return [
    ...apparmorProfile(process),
    ...ownAttributes(config.linux),
    ...(process.noNewPrivileges
      ? [
          call('prctl', [flags('PR', PR, 'SET_NO_NEW_PRIVS'), 1, 0, 0, 0], {
            pointer: '/process/noNewPrivileges',
            why: 'forbid new privileges',
          }),
        ]
      : []),
    ...selinuxLabel(process),
    ...enterDirectory(process),
    ...credentials(config, process, facts),
    ...checkDirectory(process),
    ...processAttributes(process, facts, options),
    ...findProgram(process),
  ];
}
