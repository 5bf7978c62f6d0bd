import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Engine, scowWords, testDirectory } from '../helpers/scow.ts';

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** What strace(1) is called with, apart from the command. */
export function strace(options: readonly string[], args: readonly string[], engine: Engine): Ended {
  const file = join(testDirectory(), 'injected-stderr');
  const stderr = openSync(file, 'w');
  try {
    // A container that is created keeps the streams: a pipe would be waited for.
    const { status, signal } = spawnSync('strace', [...options, ...scowWords(engine), ...args], {
      stdio: ['ignore', 'ignore', stderr],
    });
    return { status, signal, stderr: readFileSync(file, 'utf8') };
  } finally {
    closeSync(stderr);
  }
}
