import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { checkResources } from '../cgroups/resources.ts';

/**
 * Refuses a configuration that asks for what can't be done: nothing is ignored.
 *
 * @throws Error that names every such field
 */
export function checkSupported({ linux = {} }: RuntimeConfig): void {
  const problems = checkResources(linux).map(({ pointer, message }) => `${pointer} ${message}`);
  if (problems.length > 0) throw new Error(`config.json: ${problems.join('; ')}`);
}
