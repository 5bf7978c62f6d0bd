import { execFile } from 'node:child_process';
import { basename } from 'node:path';

/** The runtimes that scenarios are run with: ours, and Debian's. */
const RUNTIMES = { scow: 'build/scow', crun: '/usr/bin/crun', runc: '/usr/sbin/runc' };

export type Runtime = keyof typeof RUNTIMES;
const NAMES = Object.keys(RUNTIMES) as Runtime[];

/** Whether systemd is there to make the cgroups. */
export const systemd = process.env.SCOW_VM === 'systemd';

export interface Scenario {
  /** The script; its first argument is the runtime. */
  readonly script: string;
  /** What stands before the script. */
  readonly before: readonly string[];
  /** What follows the runtime. */
  readonly after: readonly string[];
}

/** A scenario of this folder, run by root; where systemd runs, with cgroups that it makes. */
export function scenario(name: string): Scenario {
  return { script: `test/vm/engines/${name}`, before: [], after: systemd ? ['systemd'] : [] };
}

/** The same by an ordinary user. */
export function byUser(one: Scenario): Scenario {
  return { ...one, before: ['test/vm/engines/as-user.sh'] };
}

/** Checks of which it is known that they fail with a peer. */
export type Exceptions = Partial<Record<Exclude<Runtime, 'scow'>, readonly string[]>>;

/**
 * Runs a scenario with scow and its peers, all at once, and expects that every check passes with scow. Where
 * one fails with a peer that is not known to, it is said: a peer may lose a race that is its own affair.
 * @throws if the runtimes were not checked alike: a script ended early, or checks nothing
 */
export async function expectSame(scenario: Scenario, exceptions: Exceptions = {}): Promise<void> {
  const results = await Promise.all(NAMES.map((name) => play(scenario, RUNTIMES[name])));
  const [first, ...others] = results.map(({ checked }) => checked.join('\n'));
  if (first === '' || others.some((checked) => checked !== first)) {
    const outputs = results.map(({ output }, i) => `${NAMES[i]}:\n${output}`);
    throw new Error(`${basename(scenario.script)}: not all was checked\n${outputs.join('\n')}`);
  }
  const failures = new Map(NAMES.map((name, i) => [name, results[i]?.failures ?? {}]));
  for (const peer of ['crun', 'runc'] as const)
    for (const [what, why] of Object.entries(failures.get(peer) ?? {}))
      if (!exceptions[peer]?.includes(what))
        process.stderr.write(`${basename(scenario.script)}: ${peer}: not ok ${what}: ${why}\n`);
  expect(failures.get('scow')).toEqual({});
}

interface Results {
  readonly checked: readonly string[];
  /** The checks that failed, and why. */
  readonly failures: Readonly<Record<string, string>>;
  readonly output: string;
}

async function play({ script, before, after }: Scenario, runtime: string): Promise<Results> {
  const [command = '', ...args] = [...before, script, runtime, ...after];
  const output = await new Promise<string>((resolve) => {
    execFile(command, args, { maxBuffer: 1 << 24 }, (_, stdout, stderr) =>
      resolve(stdout + stderr),
    );
  });
  const checked: string[] = [];
  const failures: Record<string, string> = {};
  for (const [, not, what = '', why = ''] of output.matchAll(
    /^(not )?ok ([^:\n]+)(?:: (.*))?$/gm,
  )) {
    checked.push(what);
    if (not !== undefined) failures[what] = why;
  }
  return { checked, failures, output };
}
