import { ContainerStore } from '../container/store.ts';
import { isRealRoot } from '../linux/identity.ts';
import { join, resolve } from '../linux/path.ts';
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
