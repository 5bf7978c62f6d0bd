import { closeSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import type { NamespaceType, RuntimeConfig } from '../../../schemas/runtime-config.ts';
import { Cgroup } from '../../cgroups/cgroup.ts';
import { O } from '../../linux/constants.ts';
import { reason } from '../../linux/reason.ts';
import { syscall } from '../../linux/syscall.ts';
import { planStartHook } from '../../plan/hooks.ts';
import { PROC } from '../../plan/labels.ts';
import { needsHome, variables } from '../../plan/program.ts';
import { readCaller } from '../facts.ts';
import type { ContainerState } from '../state.ts';
import { homeOf } from '../user-database.ts';
import { pidInContainer, runHooks } from './run.ts';

/** Their names below /proc/PID/ns, namespaces(7). */
const NAMESPACES: Readonly<Record<string, NamespaceType>> = {
  user: 'user',
  pid: 'pid',
  mnt: 'mount',
  ipc: 'ipc',
  uts: 'uts',
  net: 'network',
  cgroup: 'cgroup',
  time: 'time',
};

/**
 * Runs the startContainer hooks of a container whose init waits for its start: programs of the
 * container, in its namespaces and its cgroup.
 *
 * @param config the container's
 * @throws Error in one line for the first that fails; those after it don't run
 */
export function runStartHooks(state: ContainerState, config: RuntimeConfig): void {
  const init = syscall('pidfd_open', state.pid, 0);
  // For the container's labels.
  const proc = openSync('/proc', O.PATH | O.DIRECTORY | O.CLOEXEC);
  try {
    const joined = namespacesOf(state.pid);
    const environment = environmentOf(config, state.pid);
    const lastCapability = Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'latin1'));
    const caller = readCaller();
    runHooks('startContainer', state, {
      status: 'created',
      pid: pidInContainer(state.pid),
      init,
      inside: {
        descriptors: { init, [PROC]: proc },
        place: (pid) => {
          if (state.cgroup !== null) Cgroup.at(state.cgroup).addProcess(pid);
        },
        plan: (hook, index) =>
          planStartHook(hook, index, { config, joined, environment, lastCapability, caller }),
      },
    });
  } finally {
    for (const fd of [init, proc]) closeSync(fd);
  }
}

/** The namespaces of a process that are not scow's own. */
function namespacesOf(pid: number): NamespaceType[] {
  try {
    return Object.entries(NAMESPACES)
      .filter(
        ([file]) =>
          readlinkSync(`/proc/${pid}/ns/${file}`) !== readlinkSync(`/proc/self/ns/${file}`),
      )
      .map(([, type]) => type);
  } catch (cause) {
    throw new Error(
      `cannot enter the namespaces of the container's init for its hooks: ${reason(cause)}  [/hooks/startContainer]`,
      { cause },
    );
  }
}

/** That of the container's process, as runc has it for hooks that set none of their own. */
function environmentOf({ process }: RuntimeConfig, pid: number): string[] {
  if (process === undefined) return [];
  const env = variables(process);
  if (!needsHome(process)) return env;
  const root = openSync(`/proc/${pid}/root`, O.PATH | O.DIRECTORY | O.CLOEXEC);
  try {
    return [...env, `HOME=${homeOf(process.user.uid, root)}`];
  } finally {
    closeSync(root);
  }
}
