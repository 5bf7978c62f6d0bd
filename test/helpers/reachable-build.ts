import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Copies the executables to where every user can run them: the project may be checked out below
 * a home directory, which only its owner may enter.
 *
 * @param folder an existing folder that every user can enter
 * @returns the folder that holds `scow`, `scow-bundle` and `scow-engine`
 */
export function reachableBuild(folder: string): string {
  const reachable = join(folder, 'scow-build');
  mkdirSync(reachable, { mode: 0o755 });
  for (const name of ['scow', 'scow-bundle', 'scow-engine'])
    cpSync(join('build', name), join(reachable, name), { verbatimSymlinks: true });
  return reachable;
}
