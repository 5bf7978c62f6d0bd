import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { checkResources } from '../cgroups/resources.ts';

/**
 * Refuses a configuration that asks for what can't be done: nothing is ignored.
 *
 * @param where what the message names as the place of such fields
 * @throws Error that names every such field
 */
export function checkSupported(
  { linux = {} }: Pick<RuntimeConfig, 'linux'>,
  where = 'config.json',
): void {
  const problems = checkResources(linux).map(({ pointer, message }) => `${pointer} ${message}`);
  if (problems.length > 0) throw new Error(`${where}: ${problems.join('; ')}`);
}
