import { closeSync, constants, openSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { removeTree } from '../files/remove-tree.ts';
import { mountsAt } from '../mount/table.ts';
import { openStore } from '../store/store.ts';
import { endContainers, refuseInUse } from './in-use.ts';
import { isMounted, unmountBundle } from './mount.ts';
import { bundlePath, RECORD, readRecord } from './record.ts';

/** How a bundle is removed. */
export interface DeleteOptions {
  /** End what runs from it. */
  readonly force: boolean;
  /** Only find out whether it can be removed; with `force` nothing is ended. */
  readonly dryRun?: boolean;
  /** Value of scow's `--root`, where containers are looked for. */
  readonly root: string | undefined;
}

/**
 * Removes a bundle: its mount, its files, and its claim to the layers of the store. Nothing outside
 * of its directory is touched, whatever is mounted or linked there. What was killed half-way can be
 * done again.
 *
 * @returns its directory, absolute and without symbolic links
 * @throws Error in one line when it is none, is in use, or cannot be removed
 */
export function deleteBundle(bundle: string, { force, dryRun, root }: DeleteOptions): string {
  const record = readRecord(bundle);
  const path = bundlePath(bundle);
  const mount = foreignMount(path);
  if (!force) refuseInUse(path, root);
  if (mount !== undefined)
    throw new Error(`${mount} is a mount in the bundle ${bundle}: unmount it first`);
  if (dryRun) return path;
  if (force) endContainers(path, root);
  unmountBundle(path);
  try {
    removeAll(path);
  } catch (error) {
    throw new Error(`cannot remove the bundle ${bundle}: ${reason(error)}`, { cause: error });
  }
  if (record.store !== undefined) openStore(record.store).releaseBundle(path);
  return path;
}

/** What is mounted in a bundle, but for its root filesystem and what goes with that. */
function foreignMount(path: string): string | undefined {
  const rootfs = join(path, 'rootfs');
  const mounted = isMounted(rootfs);
  return mountsAt(path)
    .map(({ point }) => point)
    .filter((point) => point !== path && !(mounted && `${point}/`.startsWith(`${rootfs}/`)))
    .at(0);
}

/** The record goes last: with it, the bundle can still be named. */
function removeAll(path: string): void {
  const directory = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    for (const entry of entries) {
      if (entry.isDirectory()) removeTree(directory, entry.name);
      else if (entry.name !== RECORD) rmSync(join(path, entry.name));
    }
  } finally {
    closeSync(directory);
  }
  rmSync(join(path, RECORD));
  try {
    rmdirSync(path);
  } catch (error) {
    // A mount point that the bundle was made in stays.
    if (codeOf(error) !== 'EBUSY') throw error;
  }
}
