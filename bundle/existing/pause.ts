import { join } from 'node:path';
import { containersOf, processIn } from './in-use.ts';
import { bundlePath } from './record.ts';
import { callRuntime } from './runtime.ts';

/**
 * Does something while the containers of a bundle stand still.
 *
 * @param root value of scow's `--root`
 * @throws Error in one line where something runs there that is no container of scow's, or can't be
 *   paused; what the work throws
 */
export async function whilePaused<T>(
  bundle: string,
  root: string | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const path = bundlePath(bundle);
  const containers = containersOf(path, root);
  const pid = containers.length > 0 ? undefined : processIn(join(path, 'rootfs'));
  if (pid !== undefined)
    throw new Error(
      `process ${pid} has its root in ${bundle}, and is of no container that scow knows: pause it by the runtime that made it, and leave --pause out`,
    );
  const paused: string[] = [];
  try {
    for (const { id, status } of containers) {
      if (status !== 'running') continue;
      call(root, 'pause', id);
      paused.push(id);
    }
    return await work();
  } finally {
    for (const id of paused) call(root, 'resume', id);
  }
}

function call(root: string | undefined, verb: 'pause' | 'resume', id: string): void {
  const { status, stderr } = callRuntime(root, [verb, id]);
  if (status !== 0) throw new Error(`cannot ${verb} container ${id}: ${stderr.trim()}`);
}
