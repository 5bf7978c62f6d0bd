import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cgroup } from '../../runtime/cgroups/cgroup.ts';
import { forceDeleteContainer } from '../../runtime/container/delete.ts';
import { statusOf } from '../../runtime/container/state.ts';
import { ContainerStore, NoSuchContainer } from '../../runtime/container/store.ts';
import { type Traces, traces } from '../helpers/left-behind.ts';
import { moment } from '../helpers/pty.ts';
import {
  bundleOf,
  type EditableConfig,
  type Engine,
  eventually,
  newId,
  testDirectory,
} from '../helpers/scow.ts';

/** A call that can go wrong: see test/faulty/fault.ts. */
export interface Point {
  readonly place: 'scow' | 'launch' | 'init';
  readonly number: number;
  /** Its name, and what tells it from others. */
  readonly call: string;
}

/** In the place of an errno: the maker of the call is killed instead. */
export const KILL = 'KILL';

/** How a command ended. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** Looks at a state that does not become true. */
const MOST_LOOKS = 1000;

/** Where the build for tests is. */
const BUILD = join(process.cwd(), 'build/faults');

/** Builds the scow whose calls can go wrong, of the sources as they are. For `beforeAll`. */
export function buildFaulty(): void {
  const bun = join(process.cwd(), 'node_modules/.bin/bun');
  const { status, stderr } = spawnSync(bun, ['run', 'scripts/faulty.ts', BUILD], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`scripts/faulty.ts: ${stderr}`);
}

/** The words that call it. */
export function faultyCommand(engine: Engine): [command: string, ...args: string[]] {
  return engine === 'bun'
    ? [join(BUILD, 'scow-engine')]
    : [process.execPath, join(BUILD, 'scow.js')];
}

/**
 * A bundle and a directory for the state of one container at a time. Several are used side by
 * side, each with traces of its own.
 */
export class Workplace {
  readonly engine: Engine;
  readonly id = newId();
  readonly directory: string;
  readonly root: string;
  readonly bundle: string;
  readonly #store: ContainerStore;
  #before: Traces;

  /** @param edit changes the configuration */
  constructor(engine: Engine, edit: (config: EditableConfig) => void) {
    this.engine = engine;
    this.bundle = bundleOf(edit, join(testDirectory(), this.id));
    this.directory = join(testDirectory(), this.id);
    this.root = join(this.directory, 'root');
    mkdirSync(this.root);
    this.#store = new ContainerStore(this.root);
    this.#before = this.#traces();
  }

  /** Takes what is there now for nothing: a first container makes mount points in its image. */
  settle(): void {
    this.#before = this.#traces();
  }

  #traces(): Traces {
    return traces(this.id, this.bundle, this.root, this.directory);
  }

  /** Nothing is there but what was there at first. */
  expectNothing(): void {
    expect(this.#traces()).toEqual(this.#before);
  }

  /** What `state` says; `none` when there is no container. */
  status(): string {
    try {
      return statusOf(this.#store.read(this.id), this.#store.directory(this.id));
    } catch (error) {
      if (error instanceof NoSuchContainer) return 'none';
      throw error;
    }
  }

  /** What `delete --force` does. */
  delete(): Promise<void> {
    return forceDeleteContainer(this.#store, this.id);
  }

  /** Waits until `state` says so. */
  becomes(status: string): Promise<void> {
    return eventually(() => this.status() === status);
  }

  /**
   * What `state` says, when that is true: processes are there, or are not there, accordingly. An
   * init that was left alone needs a moment to notice.
   */
  async trueStatus(): Promise<string> {
    let status = '';
    let processes: readonly string[] = [];
    const isTrue = () => {
      status = this.status();
      processes = this.#traces().processes;
      const lives = ['created', 'running', 'paused'].includes(status);
      return status !== 'creating' && lives === processes.length > 0;
    };
    for (let looks = 0; looks < MOST_LOOKS && !isTrue(); looks++) await moment();
    expect({ status, processes, isTrue: isTrue() }).toMatchObject({ isTrue: true });
    return status;
  }

  /** Waits until the container has so many processes. */
  hasProcesses(count: number): Promise<void> {
    return eventually(() => this.#traces().processes.length === count);
  }

  /** Removes what a command left behind. */
  async recover(): Promise<void> {
    await this.delete();
    for (const path of this.#traces().cgroups) Cgroup.at(path).remove();
  }

  /** Runs a command to its end. */
  run(args: readonly string[], env: NodeJS.ProcessEnv = {}, engine = this.engine): Promise<Ended> {
    // A container that is created keeps the streams: a pipe would be waited for.
    const file = join(this.directory, 'stderr');
    const stderr = openSync(file, 'w');
    // An init whose look at its streams fails gives them to its user: not the machine's /dev/null.
    const others = openSync(join(this.directory, 'streams'), 'w+');
    const [command, ...first] = faultyCommand(engine);
    const child = spawn(command, [...first, '--root', this.root, ...args], {
      stdio: [others, others, stderr],
      env: { ...process.env, ...env },
    });
    closeSync(others);
    closeSync(stderr);
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (status, signal) =>
        resolve({ status, signal, stderr: readFileSync(file, 'utf8') }),
      );
    });
  }

  /** Runs a command in which one call goes wrong. @param outcome an errno's name, or KILL */
  runWith(point: Point, outcome: string, args: readonly string[]): Promise<Ended> {
    return this.run(args, { SCOW_FAULT: `${point.place}:${point.number}:${outcome}` });
  }

  /** The calls of a command that works. */
  async pointsOf(args: readonly string[]): Promise<Point[]> {
    const list = join(this.directory, 'points');
    writeFileSync(list, '');
    const ended = await this.run(args, { SCOW_FAULT_LIST: list });
    expect(ended).toEqual({ status: 0, signal: null, stderr: '' });
    const points = readFileSync(list, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [place, number, ...call] = line.split(' ');
        return { place, number: Number(number), call: call.join(' ') } as Point;
      });
    rmSync(list);
    return points;
  }

  /** Runs a command that must work, under the faster engine. */
  async must(...args: string[]): Promise<void> {
    const ended = await this.run(args, {}, 'bun');
    expect({ args, ...ended }).toEqual({ args, status: 0, signal: null, stderr: '' });
  }
}

/** Failures after which it is not worth to go on. */
const MOST_FAILURES = 10;

/** Calls that leave everything as it was: to be killed before or after them is the same. */
const LOOKS =
  /^(open|read|close|stat|lstat|fstat|statfs|exists|realpath|readlink|readdir|prlimit64|clock_gettime|fcntl|poll) /;

/** Of calls one after another, those before which something has changed, and the last. */
export function afterChanges(points: readonly Point[]): Point[] {
  return points.filter(
    (_, i) => i === 0 || i === points.length - 1 || !LOOKS.test(`${points[i - 1]?.call} `),
  );
}

/**
 * Uses all items, several at once, each at one of the workplaces.
 *
 * @throws Error that tells all failures, with their items
 */
export async function atEach<T>(
  workplaces: readonly Workplace[],
  items: readonly T[],
  use: (item: T, at: Workplace) => Promise<void>,
): Promise<void> {
  const left = [...items];
  const failures: string[] = [];
  const work = async (at: Workplace) => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) {
      try {
        await use(item, at);
      } catch (error) {
        failures.push(`${JSON.stringify(item)}: ${(error as Error).message}`);
        if (failures.length >= MOST_FAILURES) left.length = 0;
        try {
          await at.recover();
        } catch (cause) {
          failures.push((cause as Error).message);
        }
      }
    }
  };
  await Promise.all(workplaces.map(work));
  if (failures.length > 0) throw new Error(failures.join('\n\n'));
}
