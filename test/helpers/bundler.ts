import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
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

/** What `startBundler` gives. */
export interface RunningBundler {
  readonly process: ChildProcess;
  /** Comes when it has ended. */
  readonly result: Promise<{ status: number | null; stdout: string; stderr: string }>;
}

/** Starts scow-bundle; the test goes on, for example to be the server that it speaks to. */
export function startBundler(
  args: readonly string[],
  {
    engine = 'bun',
    env = {},
    input,
  }: { readonly engine?: Engine; readonly env?: NodeJS.ProcessEnv; readonly input?: string } = {},
): RunningBundler {
  const [command, ...first] = bundlerCommand(engine);
  const child = spawn(command, [...first, ...args], {
    env: { ...process.env, ...env },
    stdio: 'pipe',
  });
  child.stdin.end(input);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  const result = once(child, 'close').then(([status]) => ({ status, ...output }));
  return { process: child, result };
}
