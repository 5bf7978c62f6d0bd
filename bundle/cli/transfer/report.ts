import { constants } from 'node:os';
import { print } from '../../../runtime/linux/output.ts';
import type { CopyObserver, CopyResult } from '../../transfer/copy.ts';
import type { Input } from '../command.ts';
import { writeMessage } from '../output.ts';
import { stopOnSignals } from '../stop.ts';
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
  const stop = stopOnSignals();
  try {
    const result = await work(reporter, stop.signal);
    reporter.end(result.name, result);
    if (!json) print(`${result.descriptor.digest}\n`);
    return 0;
  } catch (error) {
    reporter.failed((error as Error).message);
    if (stop.by === undefined) throw error;
    writeMessage(`stopped by ${stop.by}: ${left}`);
    return 128 + constants.signals[stop.by];
  } finally {
    stop.release();
  }
}
