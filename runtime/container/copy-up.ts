import { batchInUserNamespace, type Run } from '../linux/elsewhere.ts';
import { readlinkSync } from '../linux/files.ts';
import { reason } from '../linux/reason.ts';
import { batch } from '../linux/syscall.ts';
import { COPY_UP } from '../plan/copy-up.ts';
import type { Step } from '../plan/step.ts';
import { copyTree } from './copy-tree.ts';

/**
 * Fills a container's tmpfs with what is in the place that it will cover (`tmpcopyup`). Init has
 * made the tmpfs; its files belong to the container's root, which is another one in a user
 * namespace.
 *
 * @param step what init is waiting at
 * @param kept what the mount's options set of the tmpfs, see {@link COPY_UP}
 * @param descriptors the place, the tmpfs, and init's user namespace
 * @throws Error in one line
 */
export function copyUp(step: Step, kept: number, descriptors: readonly number[]): void {
  const [from, into, namespace] = descriptors;
  if (from === undefined || into === undefined || namespace === undefined)
    throw new Error('init sent no tmpfs');
  const run: Run = isOwn(namespace) ? batch : (calls) => batchInUserNamespace(namespace, calls);
  try {
    copyTree(run, from, into, {
      mode: (kept & COPY_UP.mode) === 0,
      uid: (kept & COPY_UP.uid) === 0,
      gid: (kept & COPY_UP.gid) === 0,
    });
  } catch (cause) {
    throw new Error(`cannot ${step.why}: ${reason(cause)}  [${step.pointer}]`, { cause });
  }
}

function isOwn(namespace: number): boolean {
  return readlinkSync('/proc/self/ns/user') === readlinkSync(`/proc/self/fd/${namespace}`);
}
