import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ContainerStore } from '../container/store.ts';
import type { Flags } from './parse.ts';

/**
 * The place of all containers' state: `--root`, or the default for who is asking.
 *
 * @param global the global flags
 * @throws Error when an ordinary user has no place of their own
 */
export function storeOf(global: Flags): ContainerStore {
  const root = global.text('root');
  return new ContainerStore(root === undefined ? defaultRoot() : resolve(root));
}

function defaultRoot(): string {
  if (isRealRoot()) return '/run/scow';
  const runtimeDirectory = process.env.XDG_RUNTIME_DIR;
  if (runtimeDirectory) return join(runtimeDirectory, 'scow');
  if (process.geteuid?.() === 0) return '/run/scow';
  throw new Error(
    'there is no place for the state of containers: set XDG_RUNTIME_DIR to a directory of yours, or give --root DIR',
  );
}

/** Root of a user namespace that an ordinary user made keeps state where that user does. */
function isRealRoot(): boolean {
  if (process.geteuid?.() !== 0) return false;
  if (process.env.USER === 'root' || !process.env.XDG_RUNTIME_DIR) return true;
  return /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
}
