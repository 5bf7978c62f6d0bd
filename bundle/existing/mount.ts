import { existsSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { foreignOwner } from '../files/ownership.ts';
import { mountOverlay, type Overlay } from '../mount/overlay.ts';
import { mountsAt, unmount } from '../mount/table.ts';
import { checkOwner } from '../store/initialise.ts';
import { type BundleRecord, lowerDirectories, UPPER, WORK } from './record.ts';

const NAMESPACE =
  'an ordinary user mounts in a user namespace only (unshare --user --map-root-user --map-auto --mount)';

/** What is mounted as a bundle's root filesystem. @param bundle its directory, absolute */
export function overlayOf(bundle: string, record: BundleRecord): Overlay {
  return {
    lower: lowerDirectories(record),
    upper: join(bundle, UPPER),
    work: join(bundle, WORK),
    userXattrs: record.privileges !== 'full',
  };
}

/**
 * Mounts the root filesystem of a bundle; nothing happens where that is done already.
 *
 * @param bundle its directory, absolute and without symbolic links
 * @throws Error in one line
 */
export function mountBundle(bundle: string, record: BundleRecord): void {
  const rootfs = join(bundle, 'rootfs');
  if (isMounted(rootfs)) return;
  const overlay = overlayOf(bundle, record);
  checkBundle(bundle, [rootfs, overlay.upper, overlay.work]);
  checkOwner(record.store as string);
  const lost = overlay.lower.find((path) => !existsSync(path));
  if (lost !== undefined)
    throw new Error(
      `cannot mount ${rootfs}: the store has lost ${lost}, which another scow-bundle create of the image unpacks again`,
    );
  try {
    mountOverlay(overlay, rootfs);
  } catch (error) {
    const hint = codeOf(error) === 'EPERM' && process.geteuid?.() !== 0 ? `: ${NAMESPACE}` : '';
    throw new Error(`cannot mount ${rootfs}: ${reason(error)}${hint}`, { cause: error });
  }
}

/**
 * The kernel follows links where it mounts, and where it writes.
 *
 * @throws Error in one line where somebody else can put some there, or has
 */
function checkBundle(bundle: string, directories: readonly string[]): void {
  const owner = foreignOwner(bundle);
  if (owner !== undefined)
    throw new Error(`${bundle} belongs to user ${owner}: it can be mounted only by its owner`);
  const changed = directories.find((path) => !lstatSync(path).isDirectory());
  if (changed !== undefined)
    throw new Error(`${changed} is no directory any more: nothing is mounted over it, or with it`);
}

/**
 * Takes the mount of a bundle's root filesystem away, with what is mounted below it; nothing
 * happens where there is none.
 *
 * @param bundle its directory, absolute and without symbolic links
 * @throws Error in one line
 */
export function unmountBundle(bundle: string): void {
  const rootfs = join(bundle, 'rootfs');
  try {
    while (isMounted(rootfs)) unmount(rootfs);
  } catch (error) {
    throw new Error(`cannot unmount ${rootfs}: ${reason(error)}`, { cause: error });
  }
}

/** Whether something is mounted there. */
export function isMounted(path: string): boolean {
  return mountsAt(path).some(({ point }) => point === path);
}
