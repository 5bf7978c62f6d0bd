import type { MemoryResources } from '../../schemas/resources-config.ts';
import type { Integer64 } from '../../schemas/runtime-config.ts';
import { pointerTo } from '../../schemas/violation.ts';
import { readFileSync } from '../linux/files.ts';
import { join } from '../linux/path.ts';
import type { Cgroup } from './cgroup.ts';
import { isGone } from './events.ts';

/**
 * Looks whether a cgroup uses more memory than its new limits allow: cgroup v2 would kill processes
 * where cgroup v1 refused the limit (config-linux.md, `checkBeforeUpdate`).
 *
 * @throws Error in one line when it does
 */
export function checkUsage({ path }: Cgroup, memory: MemoryResources): void {
  const used = usageOf(path);
  for (const field of ['limit', 'swap'] as const)
    if (isBelow(memory[field], used))
      throw new Error(
        `the memory limit ${memory[field]} is below the ${used} bytes in use  [${pointerTo('linux', 'resources', 'memory', field)}]`,
      );
}

function isBelow(limit: Integer64 | undefined, used: bigint): boolean {
  return limit !== undefined && limit !== null && limit > 0 && used > limit;
}

/** Without the controller nothing is counted, and no limit can be set either. */
function usageOf(path: string): bigint {
  try {
    return BigInt(readFileSync(join(path, 'memory.current'), 'latin1').trim());
  } catch (error) {
    if (isGone(error)) return 0n;
    throw error;
  }
}
