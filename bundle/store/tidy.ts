import { closeSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { discardIfAllowed, lockStale } from '../files/temporary.ts';
import { STORE } from './files.ts';
import { dropDeadLeases, LEASE } from './leases.ts';
import { withLock } from './lock.ts';
import { isPartial, takeStalePartial } from './partial.ts';
import { diskUsage } from './sweep.ts';

/**
 * Removes what processes left that were killed: their leases, temporary directories and
 * half-written blobs, but for those that the next attempt may continue. What the living use is
 * locked.
 */
export async function tidy(store: string): Promise<void> {
  await withLock(store, 'exclusive', () => dropLeftovers(store));
  for (const { remove } of leftovers(store, false)) remove();
}

/**
 * Like `tidy`, with the blobs that might be continued.
 *
 * @param dryRun only look
 * @returns bytes that it frees
 */
export async function tidyAll(store: string, dryRun: boolean): Promise<number> {
  if (!dryRun) await withLock(store, 'exclusive', () => dropLeftovers(store));
  let bytes = 0;
  for (const { path, release, remove } of leftovers(store, true)) {
    bytes += diskUsage([path]);
    if (dryRun) release();
    else remove();
  }
  return bytes;
}

/** What only the one writes who has the lock: nobody does at the moment. */
function dropLeftovers(store: string): void {
  dropDeadLeases(store);
  for (const name of [STORE.index, LEASE])
    rmSync(join(store, STORE.temporary, name), { force: true });
}

/** Something in `tmp/` whose owner died. It is locked until one of the two is called. */
interface Leftover {
  readonly path: string;
  release(): void;
  remove(): void;
}

function* leftovers(store: string, all: boolean): Generator<Leftover> {
  const parent = join(store, STORE.temporary);
  // Of a store that is just being made.
  if (!existsSync(parent)) return;
  for (const { name } of readdirSync(parent, { withFileTypes: true })) {
    const path = join(parent, name);
    const fd = isPartial(name) ? takeStalePartial(path, all)?.fd : lockStale(path);
    if (fd === undefined) continue;
    const release = () => closeSync(fd);
    const remove = isPartial(name)
      ? () => {
          rmSync(path);
          release();
        }
      : () => discardIfAllowed({ parent, name, lock: fd });
    yield { path, release, remove };
  }
}
