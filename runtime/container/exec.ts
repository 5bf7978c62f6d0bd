import type { Process, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { Cgroup } from '../cgroups/cgroup.ts';
import { closeSync } from '../linux/files.ts';
import { CONTAINER_ROOT } from '../plan/enter.ts';
import { type ExecFacts, planExec } from '../plan/exec.ts';
import type { Plan } from '../plan/plan.ts';
import { withGrantable } from './capabilities.ts';
import { type Attach, type Placement, startInCgroup } from './exec-cgroup.ts';
import { type ProcessRequest, processOf } from './exec-process.ts';
import { execFailure } from './failure.ts';
import { standInFor } from './foreground.ts';
import { JoiningFiles } from './init-files.ts';
import { InitProcess } from './init-process.ts';
import { joinGroups } from './intel-rdt.ts';
import { namespacesApart, openRootOf } from './join.ts';
import { checkLabels } from './labels.ts';
import { explainMemory } from './out-of-memory.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import { isAlive, withPidfd } from './process.ts';
import { readProcessFacts } from './process-facts.ts';
import { setAffinity } from './scheduling.ts';
import { hasFilter, sendListener } from './seccomp/receiver.ts';
import { type ContainerState, initOf, statusOf } from './state.ts';
import { ContainerStore } from './store.ts';
import { checkSupported } from './supported.ts';
import { placeTerminal, sendPidfd } from './terminal/console-socket.ts';

/** What is executed, and how. */
export interface ExecOptions {
  /** Directory of all containers' state. */
  readonly root: string;
  readonly id: string;
  readonly request: ProcessRequest;
  /** A cgroup below the container's. */
  readonly cgroup?: string;
  readonly ignorePaused: boolean;
  /** Return as soon as the program runs. */
  readonly detach: boolean;
  /** Absolute path of the socket that takes the terminal. */
  readonly consoleSocket?: string;
  /** Absolute path of the socket that takes a pidfd of the program. */
  readonly pidfdSocket?: string;
  /** Absolute path of the file for the program's PID. */
  readonly pidFile?: string;
  /** How many descriptors from 3 on are the program's. */
  readonly preserveFds: number;
  /** Those of them that the caller handed down. */
  readonly preserved: readonly number[];
}

/** The container's configuration with the further process in place of its own. */
type ExecConfig = RuntimeConfig & { readonly process: Process };

/**
 * Executes a further program in a container, and in the foreground waits for it.
 *
 * @returns the program's exit status, 128 plus the number of the signal that killed it; 0 when detached
 * @throws Error in one line; no process is left behind then
 */
export async function execInContainer(options: ExecOptions): Promise<number> {
  const store = new ContainerStore(options.root);
  const state = store.read(options.id);
  checkStatus(state, store.directory(options.id), options);
  const container = store.readConfig(options.id);
  const namespaces = namespacesApart(state.pid);
  const wanted = await processOf(container, options.request, state.pid);
  const process = withGrantable(wanted, namespaces.includes('user'));
  checkTerminal(process, options);
  const config = { ...container, process };
  checkSupported(config);
  checkLabels(config);
  const seccomp = hasFilter(container)
    ? (await import('./seccomp/filter.ts')).readFilter(container, store)
    : undefined;
  const facts = { ...readProcessFacts(), namespaces, seccomp };
  const attach = await attachTo(state);
  const joined = withPidfd(initOf(state), (pidfd) =>
    join({ state, config, options, attach }, facts, pidfd),
  );
  if (joined === undefined) throw stopped();
  return options.detach ? detach(joined) : await follow(joined);
}

function checkStatus(
  state: ContainerState,
  directory: string,
  { ignorePaused }: ExecOptions,
): void {
  const status = statusOf(state, directory);
  if (status === 'stopped') throw stopped();
  if (status === 'creating')
    throw new Error('cannot exec in a container that is still being created');
  if (status === 'paused' && !ignorePaused)
    throw new Error('cannot exec in a paused container (use --ignore-paused to override)');
}

function stopped(cause?: Error): Error {
  const how = cause === undefined ? '' : `: ${cause.message}`;
  return new Error(`cannot exec in a stopped container${how}`, { cause });
}

function checkTerminal({ terminal }: Process, { detach, consoleSocket }: ExecOptions): void {
  if (terminal && detach && consoleSocket === undefined)
    throw new Error(
      'a terminal with --detach needs --console-socket, for nobody would hold it when scow has ended',
    );
  if (!terminal && consoleSocket !== undefined)
    throw new Error('--console-socket is given, but the process has no terminal: add --tty');
}

/** What is to be executed where. */
interface Subject {
  readonly state: ContainerState;
  readonly config: ExecConfig;
  readonly options: ExecOptions;
  readonly attach: Attach | undefined;
}

/** An ordinary user may not move a process from a session's cgroup to a unit's: systemd does. */
async function attachTo({ unit }: ContainerState): Promise<Attach | undefined> {
  if (unit?.instance !== 'user') return undefined;
  const { attachToUnit } = await import('../cgroups/systemd/scope.ts');
  return (below, pid) => attachToUnit(unit, below, pid);
}

/** A process in the container that is about to become the program. */
interface Joined {
  readonly init: InitProcess;
  readonly files: JoiningFiles;
  readonly config: ExecConfig;
  readonly later: Placement['later'];
  readonly master: number | undefined;
  /** Ends the process, and removes what names it. */
  readonly undo: () => void;
}

/** @param container pidfd of the container's init */
function join(subject: Subject, facts: ExecFacts, container: number): Joined {
  const { state, config, options, attach } = subject;
  const { id, preserveFds, preserved, cgroup } = options;
  const { noNewKeyring } = state;
  const foreground = !options.detach;
  const plan = planExec(config, facts, { id, preserveFds, preserved, noNewKeyring, foreground });
  const { execCPUAffinity } = config.process;
  // Its own affinity is of no use to scow any more, and its child has it.
  if (execCPUAffinity?.initial) setAffinity(execCPUAffinity, 'initial', 0);
  try {
    return startInCgroup(state, cgroup, attach, (place) => start(plan, subject, place, container));
  } catch (error) {
    const cgroupOf = state.cgroup === null ? undefined : Cgroup.at(state.cgroup);
    const told = explainMemory(error as Error, 'start a process', cgroupOf, () => config);
    throw isAlive(initOf(state)) ? told : stopped(told);
  }
}

/** Starts a process and serves it until all that is left is to execute the program. */
function start(
  plan: Plan,
  { state, config, options }: Subject,
  place: Placement,
  container: number,
): Joined {
  const files = new JoiningFiles();
  const { consoleSocket, pidFile, pidfdSocket } = options;
  const undo: (() => void)[] = [() => files.close()];
  const undoAll = () => {
    for (const step of undo.toReversed()) step();
  };
  try {
    const given = { container, [CONTAINER_ROOT]: openRootOf(state.pid) };
    let init: InitProcess;
    try {
      init = InitProcess.start(plan, files, given, place.birthplace);
    } finally {
      closeSync(given[CONTAINER_ROOT]);
    }
    undo.push(() => init.kill());
    const master = init.serve({
      config,
      join: place.join,
      takeTerminal: (fd) => placeTerminal(fd, config.process.consoleSize, consoleSocket),
      onFork: () => {},
      hooks: undefined,
    });
    const { pid } = init.id;
    bind(config.process, pid);
    if (state.intelRdt) joinGroups(state.intelRdt, pid);
    if (pidFile !== undefined) {
      writePidFile(pidFile, pid);
      undo.push(() => removePidFile(pidFile));
    }
    if (pidfdSocket !== undefined) sendPidfd(pidfdSocket, init.pidfd, 'exec');
    init.detach(config, (listener) =>
      sendListener(listener, { config, state, status: 'running', pid }),
    );
    return { init, files, config, later: place.later, master, undo: undoAll };
  } catch (error) {
    undoAll();
    throw error;
  }
}

/** The process is in the cgroup by now, but for one that is moved at the last moment. */
function bind({ execCPUAffinity }: Process, pid: number): void {
  if (execCPUAffinity === undefined) return;
  setAffinity(execCPUAffinity, execCPUAffinity.final ? 'final' : 'initial', pid);
}

function detach(joined: Joined): number {
  letGo(joined);
  // A process that stands still becomes the program when its cgroup is thawed.
  if (joined.later === undefined) joined.files.awaitExecution();
  checkExecuted(joined);
  return 0;
}

/** Whether the program was executed shows in the end: until then signals must get through. */
async function follow(joined: Joined): Promise<number> {
  const { init, master } = joined;
  const { pid } = init.id;
  const status = await standInFor({ pid, pidfd: init.pidfd, master }, () => letGo(joined));
  checkExecuted(joined);
  return status;
}

function letGo({ init, files, later, undo }: Joined): void {
  try {
    later?.addProcess(init.id.pid);
    files.letGo();
  } catch (error) {
    undo();
    throw error;
  }
}

function checkExecuted({ files, config, undo }: Joined): void {
  const errno = files.progress()?.errno ?? 0;
  if (errno === 0) return;
  undo();
  throw execFailure(config.process.args?.[0] ?? '', errno);
}
