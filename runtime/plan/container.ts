import type { Process, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { PR } from '../linux/constants.ts';
import { ownAttributes } from './attributes.ts';
import { credentials } from './credentials.ts';
import { devices } from './devices.ts';
import type { Facts, PlanOptions } from './facts.ts';
import {
  admitHooks,
  createHooks,
  defaultSignals,
  hasCreateContainerHooks,
  hasCreateHooks,
  STREAM_DESCRIPTORS,
} from './hooks.ts';
import { apparmorProfile, labelDescriptors, selinuxLabel, withLabelledKeys } from './labels.ts';
import { masks } from './masks.ts';
import { Mounts } from './mounts.ts';
import { Namespaces, namespaceContent } from './namespaces.ts';
import { netDevices } from './net-devices.ts';
import type { DescriptorRequest, Plan } from './plan.ts';
import {
  checkDirectory,
  enterDirectory,
  findProgram,
  HOME,
  needsHome,
  processAttributes,
  startProgram,
} from './program.ts';
import { enterRoot, mountRoot, raiseRoot, rootDescriptors } from './rootfs.ts';
import { call, flags, type Step, type Value } from './step.ts';
import { sysctls } from './sysctl.ts';
import { openTarget, ROOT } from './targets.ts';
import { MASTER, openTerminal, ownStreams, useTerminal } from './terminal.ts';

const KEYCTL_JOIN_SESSION_KEYRING = 1;

/**
 * Turns a container's configuration into everything that init will do, in order.
 *
 * @param config a valid config.json
 * @throws Error in one line for what no plan can be made of
 */
export function planContainer(config: RuntimeConfig, facts: Facts, options: PlanOptions): Plan {
  const { process } = config;
  if (process === undefined) throw new Error('there is no process to run  [/process]');
  const namespaces = new Namespaces(config, facts);
  if (!namespaces.has('mount'))
    throw new Error(
      'a mount namespace is missing: the container would change the mounts of the host  [/linux/namespaces]',
    );
  const firstDescriptor = 3 + options.preserveFds;
  const mounts = new Mounts(config, facts, options, namespaces);
  const steps = [
    ...begin(process, facts, options),
    ...(options.awaitCgroup ? [JOIN_CGROUP] : []),
    ...namespaces.steps(),
    ...namespaceContent(config, namespaces),
    ...netDevices(config),
    ...sysctls(config),
    ...mountRoot(facts, hasCreateHooks(config)),
    ...mounts.steps,
    ...devices(config, facts, namespaces, firstDescriptor + MAPPED),
    ...openTerminal(process),
    makeDirectory(process, facts),
    ...mounts.lateSteps,
    ...createHooks(config, facts),
    ...(hasCreateHooks(config) ? raiseRoot(facts) : []),
    meet(process),
    ...masks(config),
    ...enterRoot(config, options, namespaces),
    ...useTerminal(process),
    ...ownStreams(process),
    ...become(config, process, facts, options),
    ...findProgram(process),
    ...admitHooks(config, facts, firstDescriptor + OWN_DESCRIPTORS.length),
    ...startProgram(process, facts, options),
  ];
  return {
    cloneFlags: namespaces.cloneFlags,
    firstDescriptor,
    preserved: options.preserved,
    descriptors: [
      ...OWN_DESCRIPTORS,
      ...namespaces.descriptors(),
      ...rootDescriptors(facts),
      ...mounts.descriptors,
      ...labelDescriptors(process),
      ...(hasCreateContainerHooks(config) ? STREAM_DESCRIPTORS : []),
    ],
    steps,
  };
}

const OWN_DESCRIPTORS: readonly DescriptorRequest[] = [
  { name: 'control', source: { kind: 'control' }, pointer: '' },
  { name: 'progress', source: { kind: 'progress' }, pointer: '' },
  { name: 'fifo', source: { kind: 'fifo' }, pointer: '' },
];

/** Of these, by its place, the file of the progress page: init maps it before its first step. */
const MAPPED = 1;

const JOIN_CGROUP: Step = {
  kind: 'report',
  point: 'cgroup',
  answer: {},
  pointer: '/linux/cgroupsPath',
  why: 'be moved into the cgroup',
};

function begin(process: Process, facts: Facts, options: PlanOptions): Step[] {
  const origin = { pointer: '', why: 'set init up' };
  const steps: Step[] = [
    call('prctl', [flags('PR', PR, 'SET_NAME'), 'scow:[init]', 0, 0, 0], origin),
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

/** As runc and crun do: many images name a working directory that no layer has. */
function makeDirectory(process: Process, facts: Facts): Step {
  const resolved = facts.destinations.get(process.cwd)?.resolved ?? process.cwd;
  return openTarget({ path: process.cwd, resolved, type: 'directory' }, 'directory', {
    pointer: '/process/cwd',
    why: `find or make the working directory ${process.cwd}`,
  });
}

/** The container's file system is complete: scow reads from it what only it can tell. */
function meet(process: Process): Step {
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

function become(
  config: RuntimeConfig,
  process: Process,
  facts: Facts,
  options: PlanOptions,
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
  ];
}
