import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cgroup } from '../../runtime/cgroups/cgroup.ts';
import { findHierarchy } from '../../runtime/cgroups/hierarchy.ts';
import type { ContainerState } from '../../runtime/container/state.ts';
import { ContainerStore } from '../../runtime/container/store.ts';
import { defaultConfig } from '../../schemas/default-config.ts';
import type { RuntimeConfig } from '../../schemas/runtime-config.ts';

/** scow as `node dist/bin/scow.js`, or as the executable `build/scow`. */
export type Engine = 'node' | 'bun';
export const ENGINES: readonly Engine[] = ['node', 'bun'];

export interface RunOptions {
  /** Which scow; `node` if not given. */
  readonly engine?: Engine;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What the command reads on stdin; nothing if not given. */
  readonly input?: string;
}

export interface Result {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The file that stdout went to: a detached container goes on writing there. */
  readonly stdoutFile: string;
}

/** What `startScow` gives. */
export interface Started {
  readonly child: ChildProcess;
  /** Comes when scow has ended, whatever its container does. */
  readonly ended: Promise<Ended>;
}

export interface Ended {
  readonly status: number | null;
  readonly stderr: string;
}

type Mutable<T> = T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T;
export type EditableConfig = Mutable<RuntimeConfig>;

/** Milliseconds that a command gets: many times what the slowest takes on a busy machine. */
const PATIENCE = 120_000;
const PREFIX = 'scow-test-';
const project = process.cwd();

let home: string | undefined;
let count = 0;

/** A throw-away directory for the test under way; {@link cleanUp} removes it. */
export function testDirectory(): string {
  home ??= mkdtempSync(join(tmpdir(), PREFIX));
  return home;
}

/** The `--root` that {@link scow} and {@link runc} use. */
export function rootOf(runtime: 'scow' | 'runc'): string {
  return join(testDirectory(), runtime);
}

/** A container ID that no other test has; {@link cleanUp} finds its cgroup by it. */
export function newId(): string {
  return `${PREFIX}${process.pid}-${count++}`;
}

/** Runs scow with the test's own `--root` and waits for it, not for containers it leaves behind. */
export function scow(args: readonly string[], options: RunOptions = {}): Result {
  const [command, ...first] = scowWords(options.engine ?? 'node');
  return runCommand(command, [...first, ...args], options);
}

/** Starts scow with the test's own `--root`, and does not wait for it. */
export function startScow(
  args: readonly string[],
  { engine = 'node', ...options }: { readonly engine?: Engine } & SpawnOptions = {},
): Started {
  return startCommand([...scowWords(engine), ...args], options);
}

/** Starts a command that becomes or calls scow. */
export function startCommand(words: readonly string[], options: SpawnOptions = {}): Started {
  const [command = '', ...args] = words;
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], ...options });
  let stderr = '';
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  // Not `close`: a container that was created holds the pipe open.
  const ended = new Promise<Ended>((resolve) =>
    child.on('exit', (status) => setTimeout(() => resolve({ status, stderr }), 20)),
  );
  return { child, ended };
}

/** What scow keeps of a container of the test's. */
export function stateOf(id: string): ContainerState {
  return new ContainerStore(rootOf('scow')).read(id);
}

/**
 * Runs runc in the same way, but with a pipe for stdin: it makes a present of the host's /dev/null
 * to the user of the container, and other tests look at that.
 */
export function runc(args: readonly string[], options: RunOptions = {}): Result {
  return runCommand('runc', ['--root', rootOf('runc'), ...args], { input: '', ...options });
}

/** The words that call scow. @throws Error when it was not built */
export function commandOf(engine: Engine): [command: string, ...args: string[]] {
  const file = join(project, engine === 'node' ? 'dist/bin/scow.js' : 'build/scow');
  if (!existsSync(file)) throw new Error(`${file} is missing: npm run build`);
  return engine === 'node' ? [process.execPath, file] : [file];
}

/** The words that call scow with the test's own `--root`, for other programs to call it. */
export function scowWords(engine: Engine): [command: string, ...args: string[]] {
  return [...commandOf(engine), '--root', rootOf('scow')];
}

// Output goes to files: a pipe would stay open in a detached container, and be waited for.
function runCommand(command: string, args: readonly string[], options: RunOptions): Result {
  const { cwd, env, input } = options;
  const stdoutFile = join(testDirectory(), `stdout-${count++}`);
  const stderrFile = join(testDirectory(), `stderr-${count++}`);
  const stdout = openSync(stdoutFile, 'a+');
  const stderr = openSync(stderrFile, 'a+');
  try {
    const { status, signal, error } = spawnSync(command, args, {
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env }),
      ...(input === undefined ? {} : { input }),
      stdio: [input === undefined ? 'ignore' : 'pipe', stdout, stderr],
      // One that never ends must fail its test, not hold up the suite.
      timeout: PATIENCE,
      killSignal: 'SIGKILL',
    });
    if (error !== undefined) throw error;
    return {
      status,
      signal,
      stdout: readFileSync(stdoutFile, 'utf8'),
      stderr: readFileSync(stderrFile, 'utf8'),
      stdoutFile,
    };
  } finally {
    closeSync(stdout);
    closeSync(stderr);
  }
}

/**
 * Makes a throw-away bundle whose root filesystem has busybox under all its names.
 *
 * @param edit changes the configuration: that of `scow spec` without a terminal
 * @param directory where to make it, if not in the test's own directory
 * @returns the bundle's path
 */
export function bundleOf(
  edit: (config: EditableConfig) => void = () => {},
  directory = testDirectory(),
): string {
  const bundle = join(directory, `bundle-${count++}`);
  makeRootfs(join(bundle, 'rootfs'));
  const config = structuredClone(defaultConfig()) as EditableConfig;
  if (config.process !== undefined) config.process.terminal = false;
  edit(config);
  writeFileSync(join(bundle, 'config.json'), render(config));
  return bundle;
}

/** Integers of 64 bits as the specification has them: JSON.stringify knows none. */
function render(config: EditableConfig): string {
  const mark = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value);
  return JSON.stringify(config, mark, 2).replace(/"(-?\d+)n"/g, '$1');
}

/** Sets what a bundle's program is: for {@link bundleOf}. */
export function running(...args: string[]): (config: EditableConfig) => void {
  return (config) => {
    if (config.process !== undefined) config.process.args = args;
  };
}

function makeRootfs(rootfs: string): void {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'root', 'sys', 'tmp'])
    mkdirSync(join(rootfs, name), { recursive: true });
  writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(rootfs, 'etc/group'), 'root:x:0:\n');
  const busybox = join(rootfs, 'bin/busybox');
  copyFileSync(busyboxPath(), busybox);
  const applets = spawnSync(busybox, ['--list'], { encoding: 'utf8' }).stdout.trim().split('\n');
  for (const applet of applets)
    if (applet !== 'busybox') symlinkSync('busybox', join(rootfs, 'bin', applet));
}

function busyboxPath(): string {
  const found = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
  if (found === undefined) throw new Error('busybox is missing: apt-get install busybox-static');
  return found;
}

/** Waits until something holds, which the kernel or another process brings about. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/**
 * Removes all that a test left: containers, mounts, cgroups, files. For `afterEach`.
 *
 * @throws Error that tells what scow itself should have removed
 */
export function cleanUp(): void {
  if (home === undefined) return;
  const left = [...deleteContainers(scow, 'scow'), ...deleteContainers(runc, 'runc')];
  left.push(...unmountBelow(home), ...removeCgroups());
  rmSync(home, { recursive: true, force: true });
  home = undefined;
  if (left.length > 0) throw new Error(`left behind by the test: ${left.join('; ')}`);
}

/** @returns what could not be deleted */
function deleteContainers(run: typeof scow, runtime: 'scow' | 'runc'): string[] {
  if (!existsSync(rootOf(runtime))) return [];
  const ids = readdirSync(rootOf(runtime)).filter((name) => !name.startsWith('@'));
  return ids.flatMap((id) => {
    const { status, stderr } = run(['delete', '--force', id]);
    return status === 0 ? [] : [`container ${id} of ${runtime}: ${stderr.trim()}`];
  });
}

function unmountBelow(directory: string): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${directory}/`));
  for (const path of mounts.toReversed()) spawnSync('umount', ['--lazy', path]);
  return mounts.map((path) => `mount ${path}`);
}

/** All cgroups below one. Others come and go meanwhile: tests run side by side. */
export function cgroupsBelow(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(path, entry.name))
      .flatMap((below) => [below, ...cgroupsBelow(below)]);
  } catch {
    return [];
  }
}

function removeCgroups(): string[] {
  const { mountPoint } = findHierarchy();
  const left = cgroupsBelow(mountPoint)
    .filter((path) => path.split('/').at(-1)?.startsWith(`${PREFIX}${process.pid}-`))
    .filter((path) => Cgroup.at(path).exists());
  for (const path of left) {
    Cgroup.at(path).kill();
    Cgroup.at(path).remove();
  }
  return left.map((path) => `cgroup ${path}`);
}
