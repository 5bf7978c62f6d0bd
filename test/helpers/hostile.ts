import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { detectPrivileges } from '../../bundle/layers/privileges.ts';
import { unpack } from '../../bundle/make/unpack.ts';

/** Images that nobody made in good faith: how they are made, and what becomes of them. */

/** An image to unpack, and where to. */
export interface Job {
  readonly image: string;
  readonly bundle: string;
}

/** What was thrown; null when an image was unpacked. */
export type Outcome = { readonly kind: string; readonly message: string } | null;

const silent = { begin() {}, layer() {}, progress() {}, warning() {} };

/** Unpacks images, one after another, as far as they can be. */
export async function unpackAll(jobs: readonly Job[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const job of jobs) {
    const options = { ...job, rootless: false, privileges: detectPrivileges(), terminal: false };
    outcomes.push(
      await unpack(options, silent, new AbortController().signal).then(
        () => null,
        (error: Error) => ({ kind: error.name, message: error.message }),
      ),
    );
  }
  return outcomes;
}

/** The same in a process of Bun. @param file where the jobs can be handed over */
export function unpackAllUnderBun(jobs: readonly Job[], file: string): Outcome[] {
  const bun = join(process.cwd(), 'node_modules/.bin/bun');
  const script = join(process.cwd(), 'test/helpers/unpack-many.ts');
  writeFileSync(file, JSON.stringify(jobs));
  const { stdout, stderr } = spawnSync(bun, ['run', script, file], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  try {
    return JSON.parse(stdout) as Outcome[];
  } catch {
    throw new Error(`Bun did not live to tell: ${stderr}`);
  }
}
