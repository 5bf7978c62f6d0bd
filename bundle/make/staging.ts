import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  readdirSync,
  renameSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { RECORD, UPPER, WORK } from '../existing/record.ts';
import { discard, isTemporary, lockStale, makeTemporary, removeStale } from '../files/temporary.ts';

/** What a bundle has besides config.json, which comes last. */
const PARTS = ['rootfs', UPPER, WORK, RECORD] as const;

/** A place to build a bundle in, where nobody takes it for one before it is complete. */
export interface Staging {
  /** Where to put the parts of the bundle. */
  readonly path: string;
  /** Makes it the bundle, in one step. @throws Error when something else has taken its place */
  commit(): void;
  /** Removes it with all that it holds; after `commit`, only what is left of it. */
  discard(): void;
}

/**
 * Begins a bundle. A new one is built beside its final place (so on the same file system) and
 * renamed at the end. In an empty directory that exists (it may be a mount point, or somebody's
 * current folder) it is built inside, and what belongs to the bundle moves up at the end,
 * config.json last. Left-overs of earlier attempts that were killed are removed.
 *
 * Nothing is synced to the disk: a bundle is made again from its image.
 *
 * @param bundle where the bundle shall be
 * @throws Error in one line when something is there already, or nothing can be written there
 */
export function openStaging(bundle: string): Staging {
  if (bundle === '') throw new Error('the name of the bundle is empty: want a directory');
  const target = resolve(bundle);
  try {
    return existsAsDirectory(target) ? stageInside(bundle, target) : stageBeside(bundle, target);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    const parent = dirname(target);
    const why = existsSync(parent) ? reason(error) : `there is no ${parent}`;
    throw new Error(`cannot make the bundle ${bundle}: ${why}`, { cause: error });
  }
}

function existsAsDirectory(target: string): boolean {
  if (lstatSync(target, { throwIfNoEntry: false }) === undefined) return false;
  if (statSync(target, { throwIfNoEntry: false })?.isDirectory()) return true;
  throw new Error(`${target} exists, and is not a directory: choose another place`);
}

function stageBeside(bundle: string, target: string): Staging {
  // Names are limited to 255 bytes.
  const prefix = `.${Buffer.from(basename(target)).subarray(0, 200)}.scow-`;
  const parent = dirname(target);
  removeStale(parent, prefix);
  const temporary = makeTemporary(parent, prefix);
  const path = join(parent, temporary.name);
  return {
    path,
    commit() {
      try {
        // Fails unless there is nothing, or an empty directory: rename(2).
        renameSync(path, target);
      } catch (error) {
        throw new Error(`cannot put the bundle at ${bundle}: ${reason(error)}`, { cause: error });
      }
      // Like any directory that is made; not sooner, for only a private one is known as stale.
      chmodSync(target, 0o777 & ~process.umask());
      closeSync(temporary.lock);
    },
    discard: () => discard(temporary),
  };
}

function stageInside(bundle: string, target: string): Staging {
  const prefix = '.scow-';
  reclaim(target, prefix);
  removeStale(target, prefix);
  if (readdirSync(target).length > 0)
    throw new Error(
      `${bundle} is not empty${existsSync(join(target, 'config.json')) ? ': a bundle is there already' : ''}; choose another place, or remove it first`,
    );
  const temporary = makeTemporary(target, prefix);
  const path = join(target, temporary.name);
  return {
    path,
    commit() {
      try {
        for (const part of PARTS.filter((name) => existsSync(join(path, name))))
          renameSync(join(path, part), join(target, part));
        // A link, unlike a rename, never replaces what somebody else may have put there.
        linkSync(join(path, 'config.json'), join(target, 'config.json'));
      } catch (error) {
        takeBack(target, path);
        throw new Error(`cannot put the bundle at ${bundle}: ${reason(error)}`, { cause: error });
      }
      discard(temporary);
    },
    discard: () => discard(temporary),
  };
}

/** Takes back what had moved to its place when the end of its making was killed. */
function reclaim(target: string, prefix: string): void {
  const names = readdirSync(target);
  const left = names.find((name) => isTemporary(name, prefix));
  if (left === undefined || names.includes('config.json')) return;
  const inside = join(target, left);
  if (!existsSync(join(inside, 'config.json'))) return;
  const lock = lockStale(inside);
  if (lock === undefined) return;
  takeBack(target, inside);
  closeSync(lock);
}

function takeBack(target: string, inside: string): void {
  for (const part of PARTS)
    if (existsSync(join(target, part)) && !existsSync(join(inside, part)))
      renameSync(join(target, part), join(inside, part));
}

/** Cleans up after a failure, which stays the one that is reported. */
export function abandon(staging: Staging, cause: unknown): void {
  try {
    staging.discard();
  } catch (error) {
    throw new Error(
      `${(cause as Error).message}; and ${staging.path} could not be removed: ${reason(error)}`,
      { cause },
    );
  }
}
