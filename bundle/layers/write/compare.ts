import type { LayerSource } from '../apply.ts';
import type { Privileges } from '../privileges.ts';
import type { Time } from '../tar/fields.ts';
import { type Change, compareTrees } from './changes.ts';
import type { DiskFile, TreeFile } from './disk-file.ts';
import { mergeLayers } from './merged.ts';
import { type RecordedFile, recordLayers } from './recorded.ts';

/**
 * Finds what an overlay's upper directory changes of its lower ones. What was copied up without
 * being changed is no change.
 *
 * @param upper its root
 * @param lowers the roots of the lower directories, uppermost first
 * @param excluded see `CompareOptions`
 */
export function changesOfOverlay(
  upper: DiskFile,
  lowers: readonly DiskFile[],
  excluded: readonly string[],
): readonly Change[] {
  const sameContent = (file: DiskFile, lower: TreeFile) => file.digest() === lower.digest();
  return compareTrees(upper, mergeLayers(lowers as [DiskFile, ...DiskFile[]]), {
    upper: true,
    excluded,
    sameContent,
  });
}

/** What is known of a tree that layers were unpacked to. */
export interface UnpackedFacts {
  readonly privileges: Privileges;
  /**
   * When it was complete, by the clock of its file system: only what has a later status change
   * can have other content. Content is compared everywhere where undefined.
   */
  readonly complete: Time | undefined;
  /** See `CompareOptions`. */
  readonly excluded: readonly string[];
  /** Hears how many bytes of blobs were read so far; starts again where they are read again. */
  onProgress?(bytes: number): void;
}

/**
 * Finds what changed in a tree since layers were unpacked to it. The layers tell what it was: they
 * are read again, which costs less than it would have to write everything down beforehand, for
 * bundles that nobody ever asks about. Where a file's status changed but nothing else that shows,
 * they are read once more for the content of such files.
 *
 * @param top the root of the tree
 * @throws Error as `applyLayers` does
 */
export async function changesOfTree(
  top: DiskFile,
  layers: readonly LayerSource[],
  { privileges, complete, excluded, onProgress }: UnpackedFacts,
): Promise<readonly Change[]> {
  const record = (hashes: (serial: number) => boolean) =>
    recordLayers(layers, {
      privileges,
      hashes,
      ...(onProgress === undefined ? {} : { onProgress }),
    });
  const options = { upper: false, excluded };
  const untouched = ({ ctime }: DiskFile) => complete !== undefined && isBefore(ctime, complete);
  const sameContent = (file: DiskFile, lower: TreeFile) =>
    untouched(file) || file.digest() === lower.digest();
  const lower = await record(() => complete === undefined);
  if (complete === undefined) return compareTrees(top, lower, { ...options, sameContent });
  const doubtful = new Set<number>();
  const changes = compareTrees(top, lower, {
    ...options,
    sameContent(file, before) {
      if (!untouched(file)) doubtful.add((before as RecordedFile).serial);
      return true;
    },
  });
  if (doubtful.size === 0) return changes;
  const hashed = await record((serial) => doubtful.has(serial));
  return compareTrees(top, hashed, { ...options, sameContent });
}

function isBefore(one: Time, other: Time): boolean {
  return one.seconds === other.seconds
    ? one.nanoseconds < other.nanoseconds
    : one.seconds < other.seconds;
}
