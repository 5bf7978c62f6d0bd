import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A container that scow knows. */
export interface Container {
  readonly id: string;
  readonly status: string;
  readonly bundle: string;
}

/**
 * The words that call a program of the same build.
 *
 * @throws Error in one line when it is not there
 */
export function programCommand(name: 'scow' | 'scow-bundle'): [command: string, ...args: string[]] {
  const compiled = process.versions.bun !== undefined;
  const ours = compiled ? process.execPath : realpathSync(process.argv[1] as string);
  const file = join(dirname(ours), compiled ? name : `${name}.js`);
  if (!existsSync(file)) throw new Error(`a program is missing: there is no ${file}`);
  return compiled ? [file] : [process.execPath, file];
}

/**
 * The containers that scow has.
 *
 * @param root value of scow's `--root`; its default where undefined
 * @returns none where scow has no place for them, or cannot tell
 */
export function listContainers(root: string | undefined): Container[] {
  const { status, stdout } = callRuntime(root, ['list', '--format', 'json']);
  return status === 0 ? (JSON.parse(stdout) ?? []) : [];
}

/** Calls scow and waits for it. */
export function callRuntime(
  root: string | undefined,
  args: readonly string[],
): { status: number | null; stdout: string; stderr: string } {
  const [command, ...first] = programCommand('scow');
  const global = root === undefined ? [] : ['--root', root];
  const { status, stdout, stderr, error } = spawnSync(command, [...first, ...global, ...args], {
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  return { status, stdout, stderr };
}
