import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { discard, lockStale } from '../temporary.ts';
import { STORE } from './files.ts';
import { dropDeadLeases } from './leases.ts';
import { withLock } from './lock.ts';

/**
 * Removes what processes left that were killed: their leases and temporary directories. Those of
 * the living are locked.
 */
export async function tidy(store: string): Promise<void> {
  await withLock(store, 'exclusive', () => dropDeadLeases(store));
  const parent = join(store, STORE.temporary);
  for (const entry of readdirSync(parent, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const lock = lockStale(join(parent, entry.name));
    if (lock !== undefined) discard({ parent, name: entry.name, lock });
  }
}
