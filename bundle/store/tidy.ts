import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { discard, lockStale } from '../temporary.ts';
import { STORE } from './files.ts';
import { dropDeadLeases } from './leases.ts';
import { withLock } from './lock.ts';
import { isPartial, removeStalePartial } from './partial.ts';

/**
 * Removes what processes left that were killed: their leases, temporary directories and
 * half-written blobs, but for those that the next attempt may continue. What the living use is
 * locked.
 */
export async function tidy(store: string): Promise<void> {
  await withLock(store, 'exclusive', () => dropDeadLeases(store));
  const parent = join(store, STORE.temporary);
  for (const entry of readdirSync(parent, { withFileTypes: true })) {
    const path = join(parent, entry.name);
    if (isPartial(entry.name)) removeStalePartial(path);
    if (!entry.isDirectory()) continue;
    const lock = lockStale(path);
    if (lock !== undefined) discard({ parent, name: entry.name, lock });
  }
}
