import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { unpack } from '../../unpack.ts';
import type { Input } from '../command.ts';
import { writeMessage } from '../output.ts';
import { reporterFor } from '../progress.ts';

const STOPPING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Makes a bundle of an image. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const reporter = reporterFor({
    json: input.switch('json') ?? false,
    quiet: input.switch('quiet') ?? false,
  });
  const platform = input.text('platform');
  const bundle = input.text('bundle') ?? '';
  const stop = stopOnSignals();
  try {
    const plan = await unpack(
      {
        image: input.text('image') ?? '',
        bundle,
        ...(platform === undefined ? {} : { platform }),
        rootless: input.switch('rootless') ?? process.geteuid?.() !== 0,
        terminal: input.switch('terminal') ?? false,
      },
      reporter,
      stop.signal,
    );
    reporter.end(resolve(bundle), plan);
    return 0;
  } catch (error) {
    reporter.failed((error as Error).message);
    if (stop.by === undefined) throw error;
    writeMessage(`stopped by ${stop.by}: nothing of ${bundle} was left`);
    return 128 + constants.signals[stop.by];
  } finally {
    stop.release();
  }
}

interface Stop {
  readonly signal: AbortSignal;
  /** The signal that came, if one came. */
  readonly by: NodeJS.Signals | undefined;
  release(): void;
}

/**
 * The first signal stops in an orderly way; a second one, of any kind, ends the process. What
 * the caller has us ignore (nohup, a shell's background) stays ignored.
 */
function stopOnSignals(): Stop {
  const names = STOPPING.filter((name) => !isIgnored(constants.signals[name]));
  const controller = new AbortController();
  let by: NodeJS.Signals | undefined;
  const handle = (name: NodeJS.Signals) => {
    by = name;
    release();
    controller.abort(new Error(`stopped by ${name}`));
  };
  const release = () => {
    for (const name of names) process.off(name, handle);
  };
  for (const name of names) process.on(name, handle);
  return {
    signal: controller.signal,
    get by() {
      return by;
    },
    release,
  };
}

/** Whether a signal is ignored: proc_pid_status(5), SigIgn. */
function isIgnored(signal: number): boolean {
  const mask = /^SigIgn:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  return ((BigInt(`0x${mask ?? '0'}`) >> BigInt(signal - 1)) & 1n) === 1n;
}
