import type { Hooks, RuntimeConfig } from '../../schemas/runtime-config.ts';
import type { Cgroup } from '../cgroups/cgroup.ts';
import { closeSync } from '../linux/files.ts';
import { join } from '../linux/path.ts';
import { planContainer } from '../plan/container.ts';
import type { Facts, PlanOptions, SeccompFilter } from '../plan/facts.ts';
import type { Plan } from '../plan/plan.ts';
import { explainBirth } from './birth.ts';
import { warnOfAmbient } from './capabilities.ts';
import {
  type CgroupManager,
  type CgroupPlace,
  directoryOf,
  limitProcesses,
  makeCgroup,
  makeScope,
  placeCgroup,
  setDeviceRules,
} from './cgroup.ts';
import { readFacts } from './facts.ts';
import type { CreateHooks } from './hooks/create.ts';
import { checkHostNamespaces } from './host-namespaces.ts';
import { makeInitFiles, stateFiles } from './init-files.ts';
import { InitProcess, KilledAtBirth } from './init-process.ts';
import { checkIntelRdt, findResctrl, joinGroups, makeGroups, removeGroups } from './intel-rdt.ts';
import { kernelMounts } from './kernel-mounts.ts';
import { checkLabels } from './labels.ts';
import { debug } from './log.ts';
import { explainMemory } from './out-of-memory.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import { thisProcess } from './process.ts';
import { sendListener } from './seccomp/receiver.ts';
import { type ContainerState, SPEC_VERSION, timestamp } from './state.ts';
import { ContainerStore } from './store.ts';
import { checkSupported } from './supported.ts';
import { placeTerminal, sendPidfd } from './terminal/console-socket.ts';

export interface CreateOptions {
  /** Directory of all containers' state. */
  readonly root: string;
  readonly id: string;
  /** Absolute path. */
  readonly bundle: string;
  /** Valid. */
  readonly config: RuntimeConfig;
  /** The text of config.json. */
  readonly configText: string;
  /** Absolute path of the socket that takes the terminal. */
  readonly consoleSocket?: string;
  /** Absolute path of the socket that takes a descriptor of init. */
  readonly pidfdSocket?: string;
  /** Absolute path of the file for init's PID. */
  readonly pidFile?: string;
  /** How many descriptors from 3 on are the program's. */
  readonly preserveFds: number;
  /** Those of them that the caller handed down. */
  readonly preserved: readonly number[];
  readonly noPivot: boolean;
  readonly noNewKeyring: boolean;
  /** The program gets a socket to say that it is ready, sd_notify(3). */
  readonly notify: boolean;
  readonly cgroupManager: CgroupManager;
  /** What `linux.seccomp` was compiled to. */
  readonly seccomp: SeccompFilter | undefined;
}

/** crun's annotation for what `--pidfd-socket` does. */
export const PIDFD_RECEIVER = 'run.oci.pidfd_receiver';

/** A container whose init waits for its start. */
export interface Created {
  readonly state: ContainerState;
  readonly pidfd: number;
  /** The terminal, when no console socket took it. */
  readonly master: number | undefined;
}

/**
 * Creates a container: the `create` operation of the runtime specification (runtime.md). When
 * it returns, init waits at the exec FIFO and needs scow no more.
 *
 * @throws Error in one line; nothing is left behind then
 */
export async function createContainer(options: CreateOptions): Promise<void> {
  checkTerminal(options);
  const { pidfd } = await create(options, false);
  closeSync(pidfd);
}

/** @throws Error when terminal and console socket don't go together */
export function checkTerminal({ config, consoleSocket }: CreateOptions): void {
  const terminal = config.process?.terminal ?? false;
  if (terminal && consoleSocket === undefined)
    throw new Error(
      'a terminal needs --console-socket, for nobody would hold it when scow has ended; or set it to false  [/process/terminal]',
    );
  if (!terminal && consoleSocket !== undefined)
    throw new Error(
      '--console-socket is given, but the process has no terminal  [/process/terminal]',
    );
}

/**
 * Creates a container, as a step of its own or of `run`.
 *
 * @param foreground the container's program ends with this process
 * @throws Error in one line; nothing is left behind then
 */
export async function create(options: CreateOptions, foreground: boolean): Promise<Created> {
  const { config, id } = options;
  checkSupported(config);
  checkHostNamespaces(config);
  checkLabels(config);
  if (config.process !== undefined) warnOfAmbient(config.process);
  const rdt = config.linux?.intelRdt;
  const resctrl = rdt && findResctrl();
  if (rdt && resctrl) checkIntelRdt(rdt, resctrl);
  const place = await placeCgroup(config, id, options.cgroupManager);
  const store = new ContainerStore(options.root);
  const offer = options.notify ? await import('./notify/offer.ts') : undefined;
  const prepared = prepare(options, foreground, place, offer);
  const lock = store.create(id);
  const undo: (() => void)[] = [() => lock.release(), () => store.remove(id)];
  let made: Cgroup | undefined;
  try {
    let state = firstState(options, prepared);
    const hooks = state.hooks === undefined ? undefined : await createHooks(state, undo);
    store.write(state);
    store.keepConfig(id, options.configText);
    makeInitFiles(store.directory(id));
    offer?.makeNotifyDirectory(store.directory(id));
    made = place?.scope === undefined ? makeCgroup(config, place, undo) : undefined;
    const update = (change: Partial<ContainerState>) => {
      state = { ...state, ...change };
      store.write(state);
      // Once more after a fork: the child may be older than its parent's being there.
      if (change.pid && state.intelRdt) joinGroups(state.intelRdt, change.pid);
    };
    if (rdt && resctrl) {
      const intelRdt = makeGroups(rdt, id, resctrl);
      undo.push(() => removeGroups(intelRdt));
      update({ intelRdt });
    }
    const { init, master, cgroup } = bear(options, prepared, made, hooks, update, undo);
    if (place !== undefined && cgroup !== undefined) limitProcesses(place, cgroup);
    tellOfInit(options, { pid: state.pid, pidfd: init.pidfd }, undo);
    update({ launchedBy: null });
    init.detach(config, (listener) =>
      sendListener(listener, { config, state, status: 'creating', pid: state.pid }),
    );
    hooks?.close();
    lock.release();
    debug(`container ${id}: init ${state.pid} waits for its start`);
    return { state, pidfd: init.pidfd, master };
  } catch (error) {
    const cause = explainBirth(error as Error, made);
    const told = explainMemory(cause, 'create the container', place?.scope ?? made, () => config);
    for (const step of undo.toReversed()) attempt(step);
    throw told;
  } finally {
    place?.scope?.close();
  }
}

/** Only who uses hooks pays for what runs them. */
async function createHooks(state: ContainerState, undo: (() => void)[]): Promise<CreateHooks> {
  const hooks = new (await import('./hooks/create.ts')).CreateHooks(state);
  undo.push(() => hooks.undo());
  return hooks;
}

/** Tells whoever asked for it which process init is. */
function tellOfInit(
  { config, pidFile, pidfdSocket }: CreateOptions,
  { pid, pidfd }: { readonly pid: number; readonly pidfd: number },
  undo: (() => void)[],
): void {
  if (pidFile !== undefined) {
    writePidFile(pidFile, pid);
    undo.push(() => removePidFile(pidFile));
  }
  for (const socket of [pidfdSocket, config.annotations?.[PIDFD_RECEIVER]])
    if (socket) sendPidfd(socket, pidfd, 'init');
}

interface Prepared {
  /** With what scow adds to it. */
  readonly config: RuntimeConfig;
  readonly facts: Facts;
  readonly planOptions: PlanOptions;
  readonly plan: Plan;
  readonly place: CgroupPlace | undefined;
}

/** Everything that can go wrong before anything is made. */
function prepare(
  options: CreateOptions,
  foreground: boolean,
  place: CgroupPlace | undefined,
  offer: typeof import('./notify/offer.ts') | undefined,
): Prepared {
  const { id, bundle, preserveFds, preserved, noPivot, noNewKeyring } = options;
  const given = {
    config: options.config,
    facts: {
      ...readFacts(options.config, bundle, place),
      ...(noPivot ? { kernelMounts: kernelMounts() } : {}),
      seccomp: options.seccomp,
    },
  };
  const directory = join(options.root, id);
  const { config, facts } = offer?.offerNotifySocket(given, directory) ?? given;
  const planOptions: PlanOptions = {
    id,
    bundle,
    preserveFds,
    preserved,
    noPivot,
    noNewKeyring,
    foreground,
    awaitCgroup: place?.scope !== undefined,
  };
  return { config, facts, planOptions, plan: planContainer(config, facts, planOptions), place };
}

/**
 * Starts init and serves it until it waits for the start. It is born in its cgroup; where the
 * kernel kills it there at once (the cgroup, or scow's own, was killed before), it is moved. One of
 * systemd's is made around it.
 */
function bear(
  options: CreateOptions,
  { config, facts, planOptions, plan, place }: Prepared,
  made: Cgroup | undefined,
  hooks: CreateHooks | undefined,
  update: (change: Partial<ContainerState>) => void,
  undo: (() => void)[],
): { init: InitProcess; master: number | undefined; cgroup: Cgroup | undefined } {
  let cgroup = made;
  const files = stateFiles(new ContainerStore(options.root).directory(options.id));
  const live = (chosen: Plan, birthplace?: Cgroup, join?: (pid: number) => void) => {
    const given = hooks?.descriptors ?? {};
    const init = InitProcess.start(chosen, files, given, birthplace);
    undo.push(() => init.kill());
    update(init.id);
    // That of systemd has its rules since it was made.
    const guard = () => {
      if (made !== undefined) setDeviceRules(config, made);
    };
    // Hooks may look at devices. Init does not, so without hooks it may go on meanwhile.
    if (hooks !== undefined) guard();
    const master = init.serve({
      config,
      join,
      meanwhile: hooks === undefined ? guard : undefined,
      takeTerminal: (fd) => placeTerminal(fd, config.process?.consoleSize, options.consoleSocket),
      onFork: () => update(init.id),
      hooks,
    });
    return { init, master, cgroup };
  };
  const { scope } = place ?? {};
  if (place !== undefined && scope !== undefined)
    return live(plan, undefined, (pid) => {
      cgroup = makeScope(config, place, scope, pid, undo);
      update({ cgroup: cgroup.path, unit: scope.id });
    });
  if (cgroup === undefined) update({ cgroup: null });
  try {
    return live(plan, cgroup);
  } catch (error) {
    if (!(error instanceof KilledAtBirth) || !cgroup || cgroup.ranOutOfMemory()) throw error;
    debug(`init was killed in its new cgroup: moving it there instead`);
    attempt(undo.pop() as () => void);
    const waiting = planContainer(config, facts, { ...planOptions, awaitCgroup: true });
    return live(waiting, undefined, (pid) => cgroup?.addProcess(pid));
  }
}

function firstState(
  { config, id, bundle, noNewKeyring }: CreateOptions,
  { facts, place }: Prepared,
): ContainerState {
  const pid = config.linux?.namespaces?.find(({ type }) => type === 'pid');
  return {
    ociVersion: SPEC_VERSION,
    id,
    bundle,
    rootfs: facts.rootfs,
    annotations: config.annotations ?? {},
    created: timestamp(),
    owner: process.geteuid?.() ?? 0,
    pid: 0,
    startTime: '0',
    ownPidNamespace: pid !== undefined && !pid.path,
    // That of a unit only when it is there: the name may be another container's.
    cgroup: place?.scope === undefined ? directoryOf(place) : null,
    noNewKeyring,
    terminal: config.process?.terminal ?? false,
    program: config.process?.args?.[0] ?? '',
    ...(hasHooks(config.hooks) ? { hooks: config.hooks } : {}),
    launchedBy: thisProcess(),
  };
}

/** Some engines write empty lists of hooks. */
function hasHooks(hooks: Hooks | undefined): hooks is Hooks {
  return Object.values(hooks ?? {}).some((list) => list.length > 0);
}

/** Undoing goes on whatever happens: the first error is the one to be told. */
function attempt(step: () => void): void {
  try {
    step();
  } catch (error) {
    debug(`while cleaning up: ${(error as Error).message}`);
  }
}
