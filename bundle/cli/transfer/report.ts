import { print } from '../../../runtime/linux/output.ts';
import type { CopyObserver, CopyResult } from '../../transfer/copy.ts';
import type { Input } from '../command.ts';
import { stoppable } from '../stop.ts';
import { copyReporter } from './reporter.ts';

/**
 * Runs a copy as a command: progress, the digest on standard output, and an orderly end when a
 * signal comes.
 *
 * @param left what a copy that was stopped leaves, for people
 * @param work returns the image's new place beside what `copyImage` returns
 * @returns the exit status
 */
export async function reportCopy(
  input: Input,
  left: string,
  work: (
    observer: CopyObserver,
    signal: AbortSignal,
  ) => Promise<CopyResult & { readonly name: string }>,
): Promise<number> {
  const json = input.switch('json') ?? false;
  const reporter = copyReporter({ json, quiet: input.switch('quiet') ?? false });
  return stoppable(
    async (signal) => {
      const result = await work(reporter, signal);
      reporter.end(result.name, result);
      if (!json) print(`${result.descriptor.digest}\n`);
    },
    { left, reporter },
  );
}
