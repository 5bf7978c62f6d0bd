import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { findHierarchy, ownCgroup } from '../../../runtime/cgroups/hierarchy.ts';

/** A cgroup below the tests' own that a test may fill as it likes, and its processes. */
export class Sandbox {
  readonly path: string;
  readonly #children: ChildProcess[] = [];

  constructor(name: string) {
    const hierarchy = findHierarchy();
    this.path = join(
      hierarchy.mountPoint,
      ownCgroup(hierarchy),
      `scow-test-${process.pid}-${name}`,
    );
    mkdirSync(this.path);
  }

  /** Makes a cgroup below the sandbox. */
  make(name: string): Cgroup {
    mkdirSync(join(this.path, name), { recursive: true });
    return Cgroup.at(join(this.path, name));
  }

  /** Runs a shell script that is in the cgroup before its first line. */
  async run(cgroup: Cgroup, script: string): Promise<ChildProcess> {
    const child = spawn('sh', ['-c', `read go; ${script}`], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.push(child);
    await once(child, 'spawn');
    cgroup.addProcess(child.pid as number);
    child.stdin?.write('\n');
    return child;
  }

  async cleanUp(): Promise<void> {
    const left = this.#children.filter((child) => child.exitCode === null && !child.signalCode);
    const gone = left.map((child) => once(child, 'exit'));
    const cgroup = Cgroup.at(this.path);
    for (let frozen = cgroup.isFrozen(); frozen; frozen = cgroup.isFrozen()) cgroup.thaw();
    cgroup.kill();
    cgroup.remove();
    for (const child of left) child.kill('SIGKILL');
    await Promise.all(gone);
  }
}

/** What a file of the cgroup says, read past the code under test. */
export function fileOf(cgroup: Cgroup, name: string): string {
  return readFileSync(join(cgroup.path, name), 'utf8').trim();
}

/** Whether a process exists and is no zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Waits as long as the test runner lets it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}
