import type {
  Hook,
  Hooks,
  NamespaceType,
  Process,
  RuntimeConfig,
} from '../../schemas/runtime-config.ts';
import { CLOSE_RANGE_CLOEXEC, PR, SIG } from '../linux/constants.ts';
import { credentials } from './credentials.ts';
import { ENTER_DESCRIPTORS, enterContainer } from './enter.ts';
import type { Caller, Facts } from './facts.ts';
import { apparmorProfile, labelDescriptors, selinuxLabel } from './labels.ts';
import type { DescriptorRequest, Plan } from './plan.ts';
import { showInit } from './show.ts';
import { call, flags, inherited, type Origin, place, pointers, type Step, struct } from './step.ts';
import { ROOT } from './targets.ts';

export type HookName = keyof Hooks;

const SEEK_SET = 0;
const RLIMIT_NOFILE = 7;
const SIG_SETMASK = 2;
const NO_SIGNALS = place('no signals', 8);
const FIRST_DESCRIPTOR = 3;

/** What hooks have for standard streams, in the order of their numbers. */
const STREAMS = ['hook state', 'hook output', 'hook errors'] as const;

/** The streams of hooks, which scow makes. */
export const STREAM_DESCRIPTORS: readonly DescriptorRequest[] = STREAMS.map((name) => ({
  name,
  source: { kind: 'given' },
  pointer: '/hooks',
}));

/** A process that init or scow has for nothing but to become a hook. */
interface HookProcess {
  readonly hook: Hook;
  readonly pointer: string;
  /** Steps that change to the hook's working directory. */
  readonly enter: readonly Step[];
  /** The environment of a hook that sets none. */
  readonly environment: readonly string[];
}

/** Whether init must wait for hooks while it makes the container. */
export function hasCreateHooks({ hooks }: RuntimeConfig): boolean {
  const { prestart = [], createRuntime = [], createContainer = [] } = hooks ?? {};
  return prestart.length + createRuntime.length + createContainer.length > 0;
}

/** Whether init itself runs hooks. */
export function hasCreateContainerHooks({ hooks }: RuntimeConfig): boolean {
  return (hooks?.createContainer ?? []).length > 0;
}

/**
 * What init does for the hooks of `create`: waits until scow has run those of the runtime's
 * namespaces, and runs those of the container's itself. Their paths are the host's, which init
 * still sees.
 */
export function createHooks(config: RuntimeConfig, { caller }: Facts): Step[] {
  if (!hasCreateHooks(config)) return [];
  const wait: Step = {
    kind: 'report',
    point: 'hooks',
    answer: {},
    pointer: '/hooks',
    why: 'have the hooks run',
  };
  const hooks = config.hooks?.createContainer ?? [];
  if (hooks.length > 0 && caller === undefined) throw new Error('hooks need facts of the caller');
  return [
    wait,
    ...hooks.map((hook, i): Step => {
      const pointer = `/hooks/createContainer/${i}`;
      const origin = { pointer, why: 'start the hook' };
      const enter = [call('fchdir', [ROOT], { pointer, why: 'enter the root filesystem' })];
      const { environment } = caller as Caller;
      const of = becomeHook({ hook, pointer, enter, environment }, caller as Caller);
      return { kind: 'spawn', of, ...origin };
    }),
  ];
}

/**
 * The process of one hook in the runtime's namespaces.
 *
 * @param name its list
 * @param index its place in that
 * @param directory the bundle
 */
export function planHook(
  hook: Hook,
  name: HookName,
  index: number,
  directory: string,
  caller: Caller,
): Plan {
  const pointer = `/hooks/${name}/${index}`;
  const origin = { pointer, why: `change to the bundle's directory ${directory}` };
  const enter: Step = {
    kind: 'first',
    // What a poststop hook cleans up is there even when the bundle is gone.
    of: [[call('chdir', [directory], origin)], [call('chdir', ['/'], origin)]],
    on: ['ENOENT'],
    ...origin,
  };
  return hookPlan(
    [],
    [
      ...defaultSignals(caller.ignoredSignals),
      ...becomeHook({ hook, pointer, enter: [enter], environment: caller.environment }, caller),
    ],
  );
}

function hookPlan(descriptors: readonly DescriptorRequest[], steps: readonly Step[]): Plan {
  return {
    cloneFlags: 0,
    firstDescriptor: FIRST_DESCRIPTOR,
    preserved: [],
    descriptors: [
      { name: 'control', source: { kind: 'control' }, pointer: '' },
      { name: 'progress', source: { kind: 'given' }, pointer: '' },
      ...STREAM_DESCRIPTORS,
      ...descriptors,
    ],
    steps,
  };
}

/**
 * An ordinary user may not enter the namespaces of a process that can't be dumped (ptrace(2)), but
 * must for startContainer hooks: init shows itself, with nothing left to be found in it.
 */
export function admitHooks({ hooks }: RuntimeConfig, { privileged }: Facts): Step[] {
  if (privileged || !hooks?.startContainer?.length) return [];
  return [showInit({ pointer: '/hooks/startContainer', why: 'let the hooks in' })];
}

/** What a hook of `start` depends on besides itself. */
export interface StartHookOptions {
  /** The container's. */
  readonly config: RuntimeConfig;
  /** Namespaces of its init that are not scow's. */
  readonly joined: readonly NamespaceType[];
  /** That of the container's process. */
  readonly environment: readonly string[];
  /** Number of the highest capability of the running kernel. */
  readonly lastCapability: number;
  readonly caller: Caller;
}

/**
 * The process of one hook in the container's namespaces: a program of the container, so that its
 * path is resolved there. It has neither the identity nor the seccomp filter of the container's
 * process, but is root. Yet the program is the image's choice: it gets no capability that the
 * container is not bounded by, and is confined by the container's labels.
 *
 * @param index its place in the list of startContainer hooks
 */
export function planStartHook(hook: Hook, index: number, options: StartHookOptions): Plan {
  const { config, joined, environment, lastCapability, caller } = options;
  const pointer = `/hooks/startContainer/${index}`;
  const bounding = config.process?.capabilities?.bounding ?? [];
  const root: Process = {
    ...config.process,
    cwd: '/',
    user: { uid: 0, gid: 0 },
    capabilities: { bounding, permitted: bounding, effective: bounding },
  };
  const enter = [call('chdir', ['/'], { pointer, why: 'change to the root directory' })];
  return hookPlan(
    [...ENTER_DESCRIPTORS, ...labelDescriptors(root)],
    [
      ...defaultSignals(caller.ignoredSignals),
      { kind: 'report', point: 'cgroup', answer: {}, pointer, why: 'be moved into the cgroup' },
      ...enterContainer(joined),
      ...apparmorProfile(root),
      ...selinuxLabel(root),
      ...credentials(config, root, { lastCapability }),
      ...becomeHook({ hook, pointer, enter, environment }, caller),
    ],
  );
}

/** A zeroed `struct sigaction` is SIG_DFL without flags, sigaction(2). */
const SIGACTION = place('sigaction', 32);

/** An ignored signal stays ignored over an exec, while handlers are gone since clone3. */
export function defaultSignals(ignored: readonly number[]): Step[] {
  return ignored.map((signal) =>
    call('rt_sigaction', [signal, SIGACTION, 0, 8], {
      pointer: '',
      why: `give signal ${signal} its default action`,
    }),
  );
}

/**
 * Makes of a process the hook: a session of its own, so that all of it can be killed; the state
 * on its standard input; of scow nothing but that.
 */
function becomeHook(
  { hook, pointer, enter, environment }: HookProcess,
  { umask, openFiles }: Caller,
): Step[] {
  const origin = { pointer, why: 'set the hook up' };
  return [
    call('setsid', [], origin),
    call('prctl', [flags('PR', PR, 'SET_PDEATHSIG'), SIG.KILL, 0, 0, 0], origin),
    call('lseek', [inherited(STREAMS[0]), 0, SEEK_SET], origin),
    ...STREAMS.map((name, fd) => call('dup3', [inherited(name), fd, 0], origin)),
    ...enter,
    call('umask', [{ flags: umask, text: `0${umask.toString(8)}` }], origin),
    ...(openFiles === undefined ? [] : [limitFiles(openFiles, origin)]),
    call('close_range', [FIRST_DESCRIPTOR, 2 ** 32 - 1, CLOSE_RANGE_CLOEXEC], origin),
    call('rt_sigprocmask', [SIG_SETMASK, NO_SIGNALS, 0, 8], origin),
    call(
      'execve',
      [
        hook.path,
        pointers('argv', hook.args?.length ? hook.args : [hook.path]),
        pointers('envp', hook.env ?? environment),
      ],
      { pointer: `${pointer}/path`, why: `execute ${hook.path}` },
    ),
  ];
}

function limitFiles({ soft, hard }: NonNullable<Caller['openFiles']>, origin: Origin): Step {
  const limit = struct('rlimit', ['soft', 8, soft], ['hard', 8, hard]);
  return call('prlimit64', [0, RLIMIT_NOFILE, limit, 0], origin);
}
