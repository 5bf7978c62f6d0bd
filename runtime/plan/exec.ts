import type { NamespaceType, Process, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { ENTER_DESCRIPTORS, enterContainer, openRoot } from './enter.ts';
import type { ProcessFacts, ProcessOptions } from './facts.ts';
import { labelDescriptors } from './labels.ts';
import type { Plan } from './plan.ts';
import { AWAIT_LIMITS, becomeProcess, beginInit, handOver, OWN_DESCRIPTORS } from './process.ts';
import { closeSurplus, needsHome, startProgram } from './program.ts';
import { openTerminal, ownStreams, useTerminal } from './terminal.ts';

/** What planning a further process of a container needs to know. */
export interface ExecFacts extends ProcessFacts {
  /** The namespaces that the container does not share with scow. */
  readonly namespaces: readonly NamespaceType[];
}

/**
 * Turns a further process of a container into everything that its init will do, in order.
 *
 * @param config the container's configuration, with the further process in place of its own
 */
export function planExec(
  config: RuntimeConfig & { readonly process: Process },
  facts: ExecFacts,
  options: ProcessOptions,
): Plan {
  const { process } = config;
  const asksScow = process.terminal || needsHome(process);
  return {
    cloneFlags: 0,
    firstDescriptor: 3 + options.preserveFds,
    preserved: options.preserved,
    descriptors: [...OWN_DESCRIPTORS, ...ENTER_DESCRIPTORS, ...labelDescriptors(process)],
    steps: [
      ...beginInit(process, facts, options),
      AWAIT_LIMITS,
      ...enterContainer(facts.namespaces),
      ...(asksScow ? [openRoot(), ...openTerminal(process), handOver(process)] : []),
      ...useTerminal(process),
      ...ownStreams(process),
      ...becomeProcess(config, process, facts, options),
      ...closeSurplus(options),
      ...startProgram(process, facts, 'be told to go on'),
    ],
  };
}
