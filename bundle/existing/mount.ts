import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { reason } from '../../runtime/linux/reason.ts';
import { mountOverlay, type Overlay } from '../mount/overlay.ts';
import { mountsAt, unmount } from '../mount/table.ts';
import { type BundleRecord, lowerDirectories, UPPER, WORK } from './record.ts';

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
  const lost = overlay.lower.find((path) => !existsSync(path));
  if (lost !== undefined)
    throw new Error(
      `cannot mount ${rootfs}: the store has lost ${lost}, which another scow-bundle create of the image unpacks again`,
    );
  try {
    mountOverlay(overlay, rootfs);
  } catch (error) {
    throw new Error(`cannot mount ${rootfs}: ${reason(error)}`, { cause: error });
  }
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
