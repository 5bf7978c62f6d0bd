import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from './scow.ts';

const project = process.cwd();

/** The words that call scow-bundle. @throws Error when it was not built */
export function bundlerCommand(engine: Engine): [command: string, ...args: string[]] {
  const file = join(project, engine === 'node' ? 'dist/bin/scow-bundle.js' : 'build/scow-bundle');
  if (!existsSync(file)) throw new Error(`${file} is missing: npm run build`);
  return engine === 'node' ? [process.execPath, file] : [file];
}

/** Runs scow-bundle to its end; as the executable, which starts faster, unless said otherwise. */
export function scowBundle(
  args: readonly string[],
  { engine = 'bun', cwd }: { readonly engine?: Engine; readonly cwd?: string } = {},
): { status: number | null; stdout: string; stderr: string } {
  const [command, ...first] = bundlerCommand(engine);
  const { status, stdout, stderr, error } = spawnSync(command, [...first, ...args], {
    encoding: 'utf8',
    ...(cwd === undefined ? {} : { cwd }),
  });
  if (error !== undefined) throw error;
  return { status, stdout, stderr };
}
