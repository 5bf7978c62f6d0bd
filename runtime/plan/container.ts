import type { Process, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { devices } from './devices.ts';
import type { Facts, PlanOptions } from './facts.ts';
import {
  admitHooks,
  createHooks,
  hasCreateContainerHooks,
  hasCreateHooks,
  STREAM_DESCRIPTORS,
} from './hooks.ts';
import { labelDescriptors } from './labels.ts';
import { masks } from './masks.ts';
import { Mounts } from './mounts.ts';
import { Namespaces, namespaceContent } from './namespaces.ts';
import { netDevices } from './net-devices.ts';
import type { Plan } from './plan.ts';
import { becomeProcess, beginInit, handOver, OWN_DESCRIPTORS } from './process.ts';
import { closeSurplus, startProgram } from './program.ts';
import { enterRoot, keepMounts, mountRoot, raiseRoot, rootDescriptors } from './rootfs.ts';
import type { Step } from './step.ts';
import { sysctls } from './sysctl.ts';
import { openTarget } from './targets.ts';
import { mountConsole, openTerminal, ownStreams, useTerminal } from './terminal.ts';

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
    ...beginInit(process, facts, options),
    ...(options.awaitCgroup ? [JOIN_CGROUP] : []),
    ...namespaces.steps(),
    ...namespaceContent(config, namespaces),
    ...netDevices(config),
    ...sysctls(config),
    ...keepMounts(),
    ...mounts.earlySteps,
    ...mountRoot(facts, hasCreateHooks(config)),
    ...mounts.steps,
    ...devices(config, facts, namespaces, firstDescriptor + MAPPED),
    ...openTerminal(process),
    ...mountConsole(process),
    makeDirectory(process, facts),
    ...mounts.lateSteps,
    ...createHooks(config, facts),
    ...(hasCreateHooks(config) ? raiseRoot(facts) : []),
    handOver(process),
    ...masks(config),
    ...enterRoot(config, facts, options, namespaces),
    ...useTerminal(process),
    ...ownStreams(process),
    ...becomeProcess(config, process, facts, options),
    ...closeSurplus(options),
    ...admitHooks(config, facts),
    ...startProgram(process, facts, 'wait for scow start'),
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

/** Of {@link OWN_DESCRIPTORS}, by its place, the file of the progress page: init maps it before its first step. */
const MAPPED = 1;

const JOIN_CGROUP: Step = {
  kind: 'report',
  point: 'cgroup',
  answer: {},
  pointer: '/linux/cgroupsPath',
  why: 'be moved into the cgroup',
};

/** As runc and crun do: many images name a working directory that no layer has. */
function makeDirectory(process: Process, facts: Facts): Step {
  const resolved = facts.destinations.get(process.cwd)?.resolved ?? process.cwd;
  return openTarget({ path: process.cwd, resolved, type: 'directory' }, 'directory', {
    pointer: '/process/cwd',
    why: `find or make the working directory ${process.cwd}`,
  });
}
