import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { checkResources } from '../cgroups/resources.ts';

/** Fields of the specification that this version does not act on, by their JSON pointers. */
function unsupported(config: RuntimeConfig): [pointer: string, value: unknown][] {
  return [['/hooks', config.hooks]];
}

/**
 * Refuses a configuration that asks for what this version can't do: nothing is ignored.
 *
 * @throws Error that names every such field
 */
export function checkSupported(config: RuntimeConfig): void {
  const problems = [
    ...unsupported(config)
      .filter(([, value]) => asksForSomething(value))
      .map(([pointer]) => `${pointer} is not supported yet`),
    ...checkResources(config.linux ?? {}).map(({ pointer, message }) => `${pointer} ${message}`),
  ];
  if (problems.length > 0) throw new Error(`config.json: ${problems.join('; ')}`);
}

/** Empty objects, lists and strings are how some engines write «nothing». */
function asksForSomething(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return false;
  return typeof value !== 'object' || Object.values(value).some(asksForSomething);
}
