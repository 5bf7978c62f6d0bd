import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import type { Cgroup } from '../cgroups/cgroup.ts';
import { Conversation, type InitMessage } from '../init/conversation.ts';
import { endChild } from '../init/launch.ts';
import { O, POLL, SIG } from '../linux/constants.ts';
import { errnoName, explainErrno } from '../linux/errno.ts';
import { closeSync, openSync } from '../linux/files.ts';
import { waitFor } from '../linux/poll.ts';
import { reason } from '../linux/reason.ts';
import { socketPair } from '../linux/socket.ts';
import { syscall, trySyscall } from '../linux/syscall.ts';
import type { DescriptorRequest, Plan } from '../plan/plan.ts';
import { HOME, needsHome } from '../plan/program.ts';
import type { Step } from '../plan/step.ts';
import { copyUp } from './copy-up.ts';
import { describeDeath, describeFailure, InitFailure } from './failure.ts';
import type { CreateHooks } from './hooks/create.ts';
import { checkIdMaps, writeIdMaps } from './id-maps.ts';
import type { InitFiles } from './init-files.ts';
import { launchPlan } from './launch-plan.ts';
import { setLimits, setOomScore } from './limits.ts';
import { mapMount, openMountSource } from './mount-source.ts';
import { moveNetDevices } from './net-devices.ts';
import { isAsleep, type ProcessId, pidfdOfChild, startTimeOf } from './process.ts';
import { resetAffinity, setScheduling } from './scheduling.ts';
import { signalName } from './signals.ts';
import { writeTimeOffsets } from './time-offsets.ts';
import { homeOf } from './user-database.ts';

/** Milliseconds between looks at an init that can't speak. */
const LOOK = 1;

type Report = InitMessage & { kind: 'report' };

/** Init was killed before its first step, and not by an error of its own. */
export class KilledAtBirth extends InitFailure {}

/** What the talk with init needs of the container. */
export interface Subject {
  readonly config: RuntimeConfig;
  /** Brings a process into the cgroup that it is not born in. */
  readonly join?: ((pid: number) => void) | undefined;
  /** Takes the terminal's master; returns it when nobody else holds it. */
  readonly takeTerminal: (master: number) => number | undefined;
  /** Called while init does the last of its work. */
  readonly meanwhile?: (() => void) | undefined;
  /** Called when init has become another process. */
  readonly onFork: () => void;
  readonly hooks: CreateHooks | undefined;
}

/** Init, from its birth to the moment when it needs scow no more. */
export class InitProcess {
  readonly #files: InitFiles;
  readonly #control: number;
  readonly #conversation: Conversation;
  #talks = true;
  #pid: number;
  #pidfd: number;

  private constructor(
    files: InitFiles,
    control: number,
    plan: Plan,
    born: { pid: number; pidfd: number },
  ) {
    this.#files = files;
    this.#control = control;
    this.#conversation = new Conversation(control, plan.steps);
    this.#pid = born.pid;
    this.#pidfd = born.pidfd;
  }

  /**
   * Launches init with the descriptors that its plan lists.
   *
   * @param files the progress page, and what init waits at
   * @param given descriptors of the plan that are open already, by their names
   * @param cgroup the cgroup to be born in
   * @throws Error in one line; no process is left then
   */
  static start(
    plan: Plan,
    files: InitFiles,
    given: Readonly<Record<string, number>>,
    cgroup?: Cgroup,
  ): InitProcess {
    const [own, theirs] = socketPair();
    const opened: number[] = [theirs];
    try {
      const descriptors = plan.descriptors.map((request) => {
        if (request.source.kind === 'control') return theirs;
        if (request.source.kind === 'given') return given[request.name] as number;
        const fd = openDescriptor(request, files);
        opened.push(fd);
        return fd;
      });
      const birthplace = cgroup?.open();
      if (birthplace !== undefined) opened.push(birthplace);
      return new InitProcess(files, own, plan, launchPlan(plan, descriptors, birthplace));
    } catch (error) {
      closeSync(own);
      throw error;
    } finally {
      for (const fd of opened) closeSync(fd);
    }
  }

  /** The process as others may find it. */
  get id(): ProcessId {
    return { pid: this.#pid, startTime: startTimeOf(this.#pid) ?? '0' };
  }

  get pidfd(): number {
    return this.#pidfd;
  }

  /**
   * Serves init until it waits for the container's start.
   *
   * @returns the terminal's master, when it is ours to hold
   * @throws KilledAtBirth
   * @throws Error in one line when init failed or ended
   */
  serve(subject: Subject): number | undefined {
    let master: number | undefined;
    const program = subject.config.process ?? NO_PROCESS;
    setOomScore(program, this.#pid);
    resetAffinity(this.#pid);
    // What is the program's alone must not be inherited by hooks that init starts.
    const hooks = this.#conversation.has('spawn');
    if (!hooks) setLimits(program, this.#pid);
    if (!hooks && !this.#conversation.has('fork')) setScheduling(program, this.#pid);
    for (;;) {
      const message = this.#conversation.next();
      if (message.kind === 'failure') throw failureOf(message.step, message.errno, subject.config);
      if (message.kind === 'end') throw this.#death(subject.config);
      if (message.step.kind === 'fork') {
        this.#follow(message.value);
        if (!hooks) setScheduling(program, this.#pid);
        subject.onFork();
      } else if (message.step.kind === 'spawn') {
        this.#superviseHook(message, subject);
      } else if (message.step.kind === 'report') {
        if (message.step.point === 'ready') return master;
        if (message.step.point === 'cgroup' || message.step.point === 'limits')
          subject.join?.(this.#pid);
        if (message.step.point === 'id-maps') writeIdMaps(subject.config, this.#pid);
        if (message.step.point === 'joined-user') checkIdMaps(subject.config, this.#pid);
        if (message.step.point === 'time-offsets') writeTimeOffsets(subject.config, this.#pid);
        if (message.step.point === 'net-devices') this.#moveDevices(message, subject.config);
        if (message.step.point === 'copy-up') this.#copyUp(message);
        if (message.step.point === 'id-map') this.#mapIds(message, subject.config);
        if (message.step.point === 'hooks')
          subject.hooks?.beforePivot({ pid: this.#pid, pidfd: this.#pidfd });
        if (message.step.point === 'mounted' && hooks) {
          setLimits(program, this.#pid);
          setScheduling(program, this.#pid);
        }
        if (message.step.point === 'mounted') master = this.#mounted(message, subject);
        else this.#conversation.answer();
      }
    }
  }

  /** Init has started a hook, which comes with a pidfd, or has learnt how it ended. */
  #superviseHook({ step, value, descriptors }: Report, { hooks }: Subject): void {
    const [pidfd] = descriptors;
    if (pidfd === undefined) {
      hooks?.ended(step.pointer, value);
    } else {
      hooks?.await(step.pointer, pidfd);
      closeSync(pidfd);
    }
    this.#conversation.answer();
  }

  /**
   * Lets init wait without scow until it is to become the program.
   *
   * @param takeListener takes the descriptor of a seccomp filter that notifies, if there is one
   * @throws Error in one line when it is dead
   */
  detach(config: RuntimeConfig, takeListener: (listener: number) => void): void {
    if (!this.#conversation.answer()) throw this.#death(config);
    if (this.#conversation.has('tell')) this.#awaitFilter(config, takeListener);
    this.#hangUp();
  }

  /**
   * Waits until init has loaded its seccomp filter, and waits for its start. From then on it may
   * be unable to say anything, so we look: at its page, and at what the kernel says of it.
   */
  #awaitFilter(config: RuntimeConfig, takeListener: (listener: number) => void): void {
    const last = this.#conversation.lastCall('read');
    let loaded = false;
    while (waitFor(this.#control, POLL.IN, LOOK) === 0) {
      const { step = 0, told } = this.#files.progress() ?? {};
      if (told !== undefined && !loaded) {
        loaded = true;
        if (told >= 0) this.#fetch(told, takeListener);
      }
      if (step >= last && isAsleep(this.#pid)) return;
    }
    const message = this.#conversation.next();
    if (message.kind !== 'failure') throw this.#death(config);
    throw failureOf(message.step, message.errno, config);
  }

  /** Takes a copy of one of init's descriptors. */
  #fetch(descriptor: number, take: (listener: number) => void): void {
    const copy = trySyscall('pidfd_getfd', this.#pidfd, descriptor, 0);
    if (copy < 0)
      throw new Error(
        `cannot take the seccomp listener from init (pidfd_getfd): ${explainErrno(-copy)}: this needs CAP_SYS_PTRACE, and a kernel.yama.ptrace_scope below 3  [/linux/seccomp]`,
      );
    try {
      take(copy);
    } finally {
      closeSync(copy);
    }
  }

  #hangUp(): void {
    if (this.#talks) closeSync(this.#control);
    this.#talks = false;
  }

  /** Ends init, and waits until it is gone. */
  kill(): void {
    this.#hangUp();
    endChild({ pid: this.#pid, pidfd: this.#pidfd });
  }

  /** Init has a socket in the container's network namespace. */
  #moveDevices({ descriptors }: InitMessage & { kind: 'report' }, config: RuntimeConfig): void {
    const [socket] = descriptors;
    if (socket === undefined) throw new Error('init sent no socket');
    try {
      moveNetDevices(config, this.#pid, socket);
    } finally {
      closeSync(socket);
    }
  }

  #mapIds({ value, descriptors }: InitMessage & { kind: 'report' }, config: RuntimeConfig): void {
    const [tree] = descriptors;
    if (tree === undefined) throw new Error('init sent no mount');
    try {
      mapMount(config, value, tree);
    } finally {
      closeSync(tree);
    }
  }

  #copyUp({ step, value, descriptors }: InitMessage & { kind: 'report' }): void {
    try {
      copyUp(step, value, descriptors);
    } finally {
      for (const fd of descriptors) closeSync(fd);
    }
  }

  /** The container's file system is complete. */
  #mounted(message: Report, subject: Subject): number | undefined {
    subject.hooks?.environmentMade();
    const [root, master] = message.descriptors;
    const { process } = subject.config;
    if (root === undefined || process === undefined) throw new Error('init sent no root directory');
    const answer = Buffer.alloc(HOME.size);
    if (needsHome(process))
      answer.write(`HOME=${homeOf(process.user.uid, root)}`, 0, HOME.size - 1);
    closeSync(root);
    const kept = master === undefined ? undefined : subject.takeTerminal(master);
    this.#conversation.answer(answer);
    subject.meanwhile?.();
    return kept;
  }

  /** Init went on in a child of its own making, and is about to end. */
  #follow(pid: number): void {
    const pidfd = pidfdOfChild(pid);
    this.#reap();
    closeSync(this.#pidfd);
    this.#pid = pid;
    this.#pidfd = pidfd;
  }

  #reap(): number {
    const status = new Int32Array(1);
    syscall('wait4', this.#pid, new Uint8Array(status.buffer), 0, 0);
    return status[0] as number;
  }

  #death(config: RuntimeConfig): Error {
    const progress = this.#files.progress();
    const at = progress === undefined || progress.step === 0 ? undefined : progress.step;
    const status = this.#reap();
    const step = at === undefined ? undefined : this.#conversation.step(at);
    // A seccomp filter may have kept it from saying so.
    if (step !== undefined && progress?.errno) return failureOf(step, progress.errno, config);
    const text = describeDeath(step, status);
    const signal = status & 0x7f;
    return at === undefined && signal === SIG.KILL
      ? new KilledAtBirth(text, signalName(signal))
      : new InitFailure(text, signalName(signal));
  }
}

function failureOf(step: Step, errno: number, config: RuntimeConfig): InitFailure {
  return new InitFailure(describeFailure(step, errno, config), errnoName(errno));
}

const NO_PROCESS = { user: { uid: 0, gid: 0 }, cwd: '/' } as const;

function openDescriptor({ name, source, pointer }: DescriptorRequest, files: InitFiles): number {
  if (source.kind === 'fifo' || source.kind === 'progress') return files.open(source.kind);
  if (source.kind === 'control' || source.kind === 'given')
    throw new Error(`the descriptor ${name} is not opened by name`);
  if (source.kind === 'tree') return openMountSource(source, pointer);
  try {
    // A path that leads to something else than it should must not be waited for.
    return openSync(source.path, source.flags | O.NONBLOCK | O.NOCTTY | O.CLOEXEC);
  } catch (cause) {
    throw new Error(`cannot open the ${name} ${source.path}: ${reason(cause)}  [${pointer}]`, {
      cause,
    });
  }
}
