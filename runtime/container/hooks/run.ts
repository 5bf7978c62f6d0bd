import { closeSync, ftruncateSync, readFileSync, readSync } from 'node:fs';
import type { Hook } from '../../../schemas/runtime-config.ts';
import { Conversation } from '../../init/conversation.ts';
import { PROGRESS } from '../../init/protocol.ts';
import { P_PIDFD, SIG, W } from '../../linux/constants.ts';
import { socketPair } from '../../linux/socket.ts';
import { trySyscall } from '../../linux/syscall.ts';
import { type HookName, planHook } from '../../plan/hooks.ts';
import type { Plan } from '../../plan/plan.ts';
import { readCaller } from '../facts.ts';
import { describeFailure } from '../failure.ts';
import { launchPlan } from '../launch-plan.ts';
import { debug, warn } from '../log.ts';
import { pidfdOfChild } from '../process.ts';
import type { ContainerState, ContainerStatus } from '../state.ts';
import { HookStreams, memoryFile } from './streams.ts';
import { describeEnd, type HookEnd, statusOfChild, waitForHook } from './wait.ts';

/** When hooks are run. */
export interface Occasion {
  readonly status: ContainerStatus;
  /** The container's init, as the hooks see it; none when it is gone. */
  readonly pid?: number;
  /** pidfd of the init without which the hooks are of no use. */
  readonly init?: number;
  /** For hooks that are programs of the container. */
  readonly inside?: Inside;
}

/** How hooks get into the container. */
export interface Inside {
  readonly plan: (hook: Hook, index: number) => Plan;
  /** What the plan needs besides the streams, by names. */
  readonly descriptors: Readonly<Record<string, number>>;
  /** Moves a process into the container's cgroup. */
  readonly place: (pid: number) => void;
}

/** The container's state as the specification has it for hooks (runtime.md, State). */
export function stateForHooks(
  { ociVersion, id, bundle, annotations }: ContainerState,
  { status, pid }: Occasion,
): string {
  return JSON.stringify({
    ociVersion,
    id,
    status,
    ...(pid === undefined ? {} : { pid }),
    bundle,
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  });
}

/**
 * Runs the hooks of one kind in order (config.md, POSIX-platform Hooks).
 *
 * @throws Error in one line for the first that fails; those after it don't run
 */
export function runHooks(name: HookName, state: ContainerState, occasion: Occasion): void {
  const hooks = state.hooks?.[name] ?? [];
  if (hooks.length === 0) return;
  const streams = new HookStreams(state);
  try {
    for (const [i, hook] of hooks.entries()) runHook(hook, name, i, streams, state, occasion);
  } finally {
    streams.close();
  }
}

/** Runs the hooks that follow a container's end: one that fails is only warned of (runtime.md). */
export function runPoststopHooks(state: ContainerState): void {
  const hooks = state.hooks?.poststop ?? [];
  if (hooks.length === 0) return;
  let streams: HookStreams;
  try {
    streams = new HookStreams(state);
  } catch (error) {
    warn((error as Error).message);
    streams = new HookStreams({ ...state, annotations: {} });
  }
  for (const [i, hook] of hooks.entries()) {
    try {
      runHook(hook, 'poststop', i, streams, state, { status: 'stopped' });
    } catch (error) {
      warn((error as Error).message);
    }
  }
  streams.close();
}

function runHook(
  hook: Hook,
  name: HookName,
  index: number,
  streams: HookStreams,
  state: ContainerState,
  occasion: Occasion,
): void {
  debug(`container ${state.id}: ${name} hook ${hook.path}`);
  streams.begin(stateForHooks(state, occasion));
  const plan =
    occasion.inside?.plan(hook, index) ?? planHook(hook, name, index, state.bundle, readCaller());
  const pidfd = startHook(plan, streams, occasion.inside);
  try {
    const end = { ...endOf(pidfd, hook, occasion), words: streams.lastWords() };
    const message = describeEnd(hook, `/hooks/${name}/${index}`, end);
    if (message !== undefined) throw new Error(message);
  } finally {
    closeSync(pidfd);
  }
}

/** Waits for a hook. One that can't be waited for is ended: it would hold up its PID namespace. */
function endOf(pidfd: number, hook: Hook, { init }: Occasion): Pick<HookEnd, 'wait' | 'status'> {
  try {
    return { wait: waitForHook(pidfd, hook, init), status: statusOfChild(pidfd) };
  } catch (error) {
    end(pidfd);
    throw error;
  }
}

/** Ends a hook, or what is to become one, and waits for it. */
function end(pidfd: number): void {
  trySyscall('pidfd_send_signal', pidfd, SIG.KILL, 0, 0);
  trySyscall('waitid', P_PIDFD, pidfd, 0, W.EXITED, 0);
}

/**
 * Starts the process of a hook.
 *
 * @returns its pidfd, once it has executed the hook
 * @throws Error in one line when it could not
 */
function startHook(plan: Plan, streams: HookStreams, inside: Inside | undefined): number {
  const progress = memoryFile('progress');
  try {
    ftruncateSync(progress, PROGRESS.size);
    const [own, theirs] = socketPair();
    try {
      const given = { control: theirs, progress, ...streams.descriptors, ...inside?.descriptors };
      let child: Child;
      try {
        child = launchHook(plan, given);
      } finally {
        closeSync(theirs);
      }
      return followHook(child, progress, new Conversation(own, plan.steps), inside);
    } finally {
      closeSync(own);
    }
  } finally {
    closeSync(progress);
  }
}

interface Child {
  readonly pid: number;
  readonly pidfd: number;
}

/** Serves the process of a hook until its end of the socket is closed by the exec. */
function followHook(
  born: Child,
  progress: number,
  talk: Conversation,
  inside: Inside | undefined,
): number {
  let child = born;
  try {
    for (;;) {
      const message = talk.next();
      if (message.kind === 'end') return child.pidfd;
      if (message.kind === 'failure')
        throw new Error(describeFailure(message.step, message.errno, {}));
      if (message.step.kind === 'fork') {
        const pidfd = pidfdOfChild(message.value);
        discard(child);
        child = { pid: message.value, pidfd };
      } else {
        inside?.place(child.pid);
        talk.answer();
      }
    }
  } catch (error) {
    end(child.pidfd);
    closeSync(child.pidfd);
    endFork(child.pid, progress);
    throw error;
  }
}

/**
 * Ends the process in which that of a hook went on, where it could not say so any more: the kernel
 * wrote its PID into the progress page.
 */
function endFork(known: number, progress: number): void {
  const pid = new Int32Array(1);
  readSync(progress, pid, 0, pid.byteLength, PROGRESS.pid);
  const [forked = 0] = pid;
  if (forked === 0 || forked === known) return;
  const pidfd = trySyscall('pidfd_open', forked, 0);
  if (pidfd < 0) return;
  end(pidfd);
  closeSync(pidfd);
}

/** A process that has ended, or is about to. */
function discard({ pidfd }: Child): void {
  statusOfChild(pidfd);
  closeSync(pidfd);
}

function launchHook(plan: Plan, given: Readonly<Record<string, number>>): Child {
  return launchPlan(
    plan,
    plan.descriptors.map(({ name }) => given[name] as number),
  );
}

/** The number of a process in its own PID namespace: the last of NSpid, proc(5). */
export function pidInContainer(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^NSpid:.*?(\d+)$/m.exec(status)?.[1] ?? pid);
}
