import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Container, callRuntime, listContainers } from './runtime.ts';

/**
 * Refuses to go on where a container runs from a bundle.
 *
 * @param bundle its directory, absolute and without symbolic links
 * @param root value of scow's `--root`
 * @throws Error in one line that says which
 */
export function refuseInUse(bundle: string, root: string | undefined): void {
  const [container] = containersOf(bundle, root);
  if (container !== undefined)
    throw new Error(
      `container ${container.id} is ${container.status} and uses ${bundle}: end it first (scow delete --force ${container.id}), or give --force`,
    );
  const pid = processIn(join(bundle, 'rootfs'));
  if (pid !== undefined)
    throw new Error(
      `process ${pid} has its root in ${bundle}: end its container first, or give --force`,
    );
}

/** Ends the containers that scow runs from a bundle. @throws Error in one line */
export function endContainers(bundle: string, root: string | undefined): void {
  for (const { id } of containersOf(bundle, root)) {
    const { status, stderr } = callRuntime(root, ['delete', '--force', id]);
    if (status !== 0) throw new Error(`cannot end container ${id}: ${stderr.trim()}`);
  }
}

/**
 * The containers of scow's that were made from a bundle and have not ended.
 *
 * @param bundle its directory, absolute and without symbolic links
 * @param root value of scow's `--root`
 */
export function containersOf(bundle: string, root: string | undefined): Container[] {
  return listContainers(root).filter(
    (container) => container.status !== 'stopped' && container.bundle === bundle,
  );
}

/** A process whose root a directory is, whatever runtime has made it. */
export function processIn(rootfs: string): number | undefined {
  const directory = statSync(rootfs, { throwIfNoEntry: false });
  if (directory === undefined) return undefined;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      try {
        const root = statSync(`/proc/${pid}/root/`);
        return root.dev === directory.dev && root.ino === directory.ino;
      } catch {
        // It has ended, or is another's, who may not use our bundles.
        return false;
      }
    });
}
