import { compile } from '../init/compile.ts';
import { launch } from '../init/launch.ts';
import { descriptorNumbers, type Plan } from '../plan/plan.ts';

/**
 * Launches the process that takes a plan's steps.
 *
 * @param descriptors those that the plan lists, in its order
 * @param cgroup descriptor of the cgroup to be born in
 * @throws what `compile` and `launch` throw
 */
export function launchPlan(
  plan: Plan,
  descriptors: readonly number[],
  cgroup?: number,
): { pid: number; pidfd: number } {
  const { firstDescriptor, preserved, cloneFlags: namespaces } = plan;
  const program = () => compile(plan.steps, descriptorNumbers(plan));
  return launch({ program, descriptors, firstDescriptor, preserved, namespaces, cgroup });
}
