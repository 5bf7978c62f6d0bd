import type { EditableConfig, Engine } from '../helpers/scow.ts';
import { running } from '../helpers/scow.ts';
import { Workplace } from './faulty.ts';

/** A command that changes a container, and what it needs. */
export interface Subcommand {
  readonly name: string;
  readonly args: (at: Workplace) => string[];
  /** Makes what the command is for. */
  readonly prepare: (at: Workplace) => Promise<void>;
  /** What the container's program is; one that does not end if not given. */
  readonly program?: readonly string[];
  /** How many processes the container has in the end, where that tells something. */
  readonly processes?: number;
  /** What the container can be afterwards, however far the command came; `none` is gone. */
  readonly after: readonly string[];
  /** Hooks of all kinds run with it. */
  readonly hooks?: boolean;
  /** One call in so many is tried: much of what it does, others do as well. All, if not given. */
  readonly sample?: number;
}

const nothing = async () => {};
const created = (at: Workplace) => at.must('create', '-b', at.bundle, at.id);
const started = (at: Workplace) => at.must('run', '--detach', '-b', at.bundle, at.id);
const paused = async (at: Workplace) => {
  await started(at);
  await at.must('pause', at.id);
};

const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: 'create',
    args: (at) => ['create', '--pid-file', `${at.directory}/pid`, '-b', at.bundle, at.id],
    prepare: nothing,
    after: ['none', 'stopped', 'created'],
  },
  {
    name: 'run',
    args: (at) => ['run', '-b', at.bundle, at.id],
    prepare: nothing,
    program: ['sleep', '0.05'],
    after: ['none', 'stopped', 'running'],
    sample: 4,
  },
  {
    name: 'run --detach',
    args: (at) => ['run', '--detach', '-b', at.bundle, at.id],
    prepare: nothing,
    after: ['none', 'stopped', 'created', 'running'],
    sample: 4,
  },
  {
    name: 'run with hooks',
    args: (at) => ['run', '-b', at.bundle, at.id],
    prepare: nothing,
    program: ['sleep', '0.05'],
    hooks: true,
    after: ['none', 'stopped', 'running'],
    sample: 4,
  },
  {
    name: 'start',
    args: (at) => ['start', at.id],
    prepare: created,
    after: ['created', 'running'],
  },
  {
    name: 'exec',
    args: (at) => ['exec', '--user', 'root', at.id, 'true'],
    prepare: started,
    sample: 2,
    after: ['running'],
    processes: 1,
  },
  {
    name: 'exec --detach',
    args: (at) => ['exec', '--detach', '--pid-file', `${at.directory}/pid`, at.id, 'true'],
    prepare: started,
    sample: 5,
    after: ['running'],
    processes: 1,
  },
  {
    name: 'kill',
    args: (at) => ['kill', at.id, 'KILL'],
    prepare: started,
    after: ['running', 'stopped'],
  },
  {
    name: 'kill --all',
    args: (at) => ['kill', '--all', at.id, 'TERM'],
    prepare: started,
    after: ['running', 'paused', 'stopped'],
  },
  {
    name: 'pause',
    args: (at) => ['pause', at.id],
    prepare: started,
    after: ['running', 'paused'],
  },
  {
    name: 'resume',
    args: (at) => ['resume', at.id],
    prepare: paused,
    after: ['running', 'paused'],
  },
  {
    name: 'delete',
    args: (at) => ['delete', at.id],
    prepare: async (at) => {
      await started(at);
      await at.must('kill', at.id, 'KILL');
      await at.becomes('stopped');
    },
    after: ['none', 'stopped'],
  },
  {
    name: 'delete of a created container',
    args: (at) => ['delete', at.id],
    prepare: created,
    after: ['none', 'created', 'stopped'],
  },
  {
    name: 'delete --force',
    args: (at) => ['delete', '--force', at.id],
    prepare: started,
    after: ['none', 'stopped', 'running'],
  },
];

const HOOK = [{ path: '/bin/true' }];
const HOOKS = {
  prestart: HOOK,
  createRuntime: HOOK,
  createContainer: HOOK,
  startContainer: HOOK,
  poststart: HOOK,
  poststop: HOOK,
};

/** Places to run a command at, two at once. */
export function workplacesFor(engine: Engine, { program = ['sleep', '1000'], hooks }: Subcommand) {
  const edit = (config: EditableConfig) => {
    running(...program)(config);
    if (hooks) config.hooks = HOOKS;
  };
  return [new Workplace(engine, edit), new Workplace(engine, edit)] as const;
}

/** The commands to try, for `test.each`: under Node.js, where each takes long, a few. */
export function subcommandsFor(engine: Engine): [name: string, command: Subcommand][] {
  const few = ['create', 'start', 'delete --force'];
  return SUBCOMMANDS.filter(({ name }) => engine === 'bun' || few.includes(name)).map((command) => [
    command.name,
    command,
  ]);
}

/** Each how many-th call is tried. */
export function sampleFor(engine: Engine, { sample = 1 }: Subcommand): number {
  return engine === 'node' ? 40 : sample;
}
