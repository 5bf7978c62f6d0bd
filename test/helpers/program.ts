import { execFileSync } from 'node:child_process';

/** Runs another program, which must succeed. @param env variables beside ours @returns what it prints */
export function program(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 26,
    stdio: 'pipe',
  });
}
