import { closeSync, openSync } from 'node:fs';
import type { RuntimeConfig } from '../../../schemas/runtime-config.ts';
import { Cgroup } from '../../cgroups/cgroup.ts';
import { O } from '../../linux/constants.ts';
import { syscall } from '../../linux/syscall.ts';
import { CONTAINER_ROOT } from '../../plan/enter.ts';
import { planStartHook } from '../../plan/hooks.ts';
import { PROC } from '../../plan/labels.ts';
import { needsHome, variables } from '../../plan/program.ts';
import { readCaller } from '../facts.ts';
import { namespacesApart, openRootOf } from '../join.ts';
import { readProcessFacts } from '../process-facts.ts';
import type { ContainerState } from '../state.ts';
import { homeOf } from '../user-database.ts';
import { pidInContainer, runHooks } from './run.ts';

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
  const root = openRootOf(state.pid);
  try {
    const joined = namespacesApart(state.pid);
    const environment = environmentOf(config, root);
    const { lastCapability } = readProcessFacts();
    const caller = readCaller();
    runHooks('startContainer', state, {
      status: 'created',
      pid: pidInContainer(state.pid),
      init,
      inside: {
        descriptors: { container: init, [CONTAINER_ROOT]: root, [PROC]: proc },
        place: (pid) => {
          if (state.cgroup !== null) Cgroup.at(state.cgroup).addProcess(pid);
        },
        plan: (hook, index) =>
          planStartHook(hook, index, { config, joined, environment, lastCapability, caller }),
      },
    });
  } finally {
    for (const fd of [init, proc, root]) closeSync(fd);
  }
}

/** That of the container's process, as runc has it for hooks that set none of their own. */
function environmentOf({ process }: RuntimeConfig, root: number): string[] {
  if (process === undefined) return [];
  const env = variables(process);
  return needsHome(process) ? [...env, `HOME=${homeOf(process.user.uid, root)}`] : env;
}
