import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, testDirectory } from './scow.ts';

/** What a systemd does with a unit that it is told to make. */
export type Behaviour =
  | 'closes'
  | 'fails'
  | 'has the unit'
  | 'is old'
  | 'is silent'
  | 'refuses'
  | 'rejects'
  /** It answers what it is asked, but not that. */
  | 'takes its time';

/** A stand-in for systemd, which runs until it is stopped: see fake-systemd.mjs. */
export class FakeSystemd {
  /** The path of its socket. */
  readonly socket: string;
  readonly #log: string;
  readonly #child: ChildProcess;

  private constructor(behaviour: Behaviour) {
    this.socket = join(testDirectory(), `bus-${behaviour}`);
    this.#log = join(testDirectory(), `log-${behaviour}`);
    const program = 'test/helpers/fake-systemd.mjs';
    const args = [program, this.socket, behaviour, this.#log];
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  }

  static async start(behaviour: Behaviour): Promise<FakeSystemd> {
    const systemd = new FakeSystemd(behaviour);
    await eventually(() => existsSync(systemd.socket));
    return systemd;
  }

  get address(): string {
    return `unix:path=${this.socket}`;
  }

  /** The methods that were called, in order. */
  get calls(): string[] {
    if (!existsSync(this.#log)) return [];
    return readFileSync(this.#log, 'utf8').trim().split('\n');
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}
