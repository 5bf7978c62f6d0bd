import { runContainer } from '../container/run.ts';
import { createOptions } from './create-options.ts';
import type { Input } from './parse.ts';

/** @returns in the foreground the exit status of the container's program, else 0 */
export async function run(input: Input): Promise<number> {
  const { flags } = input;
  return runContainer({
    ...(await createOptions(input)),
    detach: flags.has('detach'),
    keep: flags.has('keep'),
    subreaper: !flags.has('no-subreaper'),
  });
}
