/**
 * The same commands on the same bundles, by runc and by scow: what they print and their exit
 * statuses must be equal. How errors are worded is scow's own; that each is one line is checked.
 */
import { readFileSync } from 'node:fs';
import { startTimeOf } from '../../../runtime/container/process.ts';
import {
  bundleOf,
  cleanUp,
  type EditableConfig,
  ENGINES,
  type Engine,
  eventually,
  newId,
  type Result,
  runc,
  running,
  scow,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

/** A command, where ID stands for the container; or a wait for the container's end. */
type Step = string | typeof UNTIL_STOPPED;
const UNTIL_STOPPED = Symbol('until the container has stopped');

interface Scenario {
  readonly name: string;
  readonly config: (config: EditableConfig) => void;
  readonly steps: readonly Step[];
}

interface Outcome {
  readonly step: string;
  readonly status: number | null;
  readonly stdout: string;
  /** What the container itself wrote, or whether there was an error. */
  readonly stderr: string;
}

const SLEEP = running('sleep', '1000');

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'from create to delete',
    config: SLEEP,
    steps: [
      'list',
      'list --format json',
      'list --quiet',
      'state ID',
      'create ID',
      'state ID',
      'list',
      'create ID',
      'start ID',
      'state ID',
      'list -f json',
      'list -q',
      'start ID',
      'delete ID',
      'kill ID 0',
      'state ID',
      'kill ID KILL',
      UNTIL_STOPPED,
      'state ID',
      'ps ID',
      'ps --format json ID',
      'list',
      'list -format=json',
      'kill ID',
      'kill --all ID',
      'start ID',
      'delete ID',
      'state ID',
      'start ID',
      'kill ID',
      'delete ID',
      'delete --force ID',
      'list',
    ],
  },
  {
    name: 'a container that is never started',
    config: SLEEP,
    steps: [
      'create ID',
      'delete ID',
      'state ID',
      'create ID',
      'kill ID 9',
      UNTIL_STOPPED,
      'state ID',
    ],
  },
  {
    name: 'signals to a container that was not started yet',
    config: SLEEP,
    steps: [
      'create ID',
      'kill ID 0',
      'kill ID WINCH',
      'state ID',
      'kill ID TERM',
      UNTIL_STOPPED,
      'state ID',
      'kill ID',
    ],
  },
  {
    name: "signals to a container in the host's PID namespace",
    config: (config) => {
      SLEEP(config);
      if (config.linux?.namespaces)
        config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== 'pid');
    },
    steps: [
      'create ID',
      'kill ID TERM',
      UNTIL_STOPPED,
      'state ID',
      'delete ID',
      'run -d ID',
      'kill ID TERM',
      UNTIL_STOPPED,
      'delete ID',
      'list -q',
    ],
  },
  {
    name: 'paused and resumed',
    config: running('sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.1; done'),
    steps: [
      'pause ID',
      'resume ID',
      'create ID',
      'resume ID',
      'pause ID',
      'state ID',
      'pause ID',
      'start ID',
      'delete ID',
      'resume ID',
      'resume ID',
      'state ID',
      'start ID',
      'pause ID',
      'list',
      'kill ID 0',
      'kill ID TERM',
      'state ID',
      'resume ID',
      UNTIL_STOPPED,
      'pause ID',
      'resume ID',
      'delete ID',
      'run -d ID',
      'pause ID',
      'kill ID KILL',
      UNTIL_STOPPED,
      'state ID',
      'delete ID',
      'run -d ID',
      'pause ID',
      'delete -f ID',
      'pause',
      'resume a b',
    ],
  },
  {
    name: 'deleted by force while it is created, running, stopped',
    config: SLEEP,
    steps: [
      'create ID',
      'delete -f ID',
      'run --detach ID',
      'delete --force=true ID',
      'run -d ID',
      'kill ID SIGKILL',
      UNTIL_STOPPED,
      'delete -f ID',
      'list -q',
    ],
  },
  {
    name: 'signals by name and number',
    config: running('sh', '-c', 'trap "exit 3" TERM USR1; while :; do sleep 0.1; done'),
    steps: [
      'run -d ID',
      'kill ID WINCH',
      'kill ID 28',
      'kill ID nonsense',
      'kill ID 99',
      'kill ID',
    ],
  },
  {
    name: 'annotations are in the state',
    config: (config) => {
      SLEEP(config);
      config.annotations = { 'org.example.a': 'ä "quoted"', 'org.example.b': '' };
    },
    steps: ['create ID', 'state ID', 'list -f json'],
  },
  {
    name: 'a program that prints and ends with a status',
    config: running('sh', '-c', 'echo out; echo err >&2; exit 7'),
    steps: [
      'run ID',
      'list',
      'run --keep ID',
      'state ID',
      'delete ID',
      'run -keep=false ID',
      'list -q',
    ],
  },
  {
    name: 'a program that a signal kills',
    config: running('sh', '-c', 'kill -ABRT $$; sleep 1; kill -KILL -1'),
    steps: ['run ID'],
  },
  {
    name: 'a program that is not there',
    config: running('/no/such/program'),
    steps: ['create ID', 'run ID', 'run -d ID', 'list'],
  },
  {
    name: 'IDs that are none',
    config: SLEEP,
    steps: ['create a/b', 'create ..', 'create .', 'create', 'run /', 'delete -f ../ID', 'list -q'],
  },
  {
    name: 'command lines that are none',
    config: SLEEP,
    steps: [
      'nonsense',
      'start',
      'start a b',
      'state',
      'ps',
      'ps ID',
      'ps --format yaml ID',
      'kill',
      'delete',
      'list extra',
      'list --format yaml',
      'create --bogus ID',
      'create --preserve-fds x ID',
      '--bogus list',
      '--log-format xml list',
      'create --bundle /does/not/exist ID',
    ],
  },
];

/** Node.js takes a fifth of a second to start: there those suffice that meet every command. */
const UNDER_NODE =
  /^(from create to delete|deleted by force|signals by name|a program that prints)/;

describe.each(ENGINES)('scow under %s does what runc does', (engine) => {
  const scenarios = SCENARIOS.filter(({ name }) => engine === 'bun' || UNDER_NODE.test(name));
  test.each(scenarios)('$name', async (scenario) => {
    const bundle = bundleOf(scenario.config);
    const id = newId();
    const expected = await play(scenario, bundle, `${id}r`, runc);
    const got = await play(scenario, bundle, `${id}s`, (args, options) =>
      scow(args, { ...options, engine }),
    );
    expect(got).toEqual(expected);
  });
});

async function play(
  { steps }: Scenario,
  bundle: string,
  id: string,
  run: typeof scow,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const step of steps) {
    if (step === UNTIL_STOPPED) {
      const pid = /"pid": (\d+)/.exec(run(['state', id]).stdout)?.[1];
      await eventually(() => startTimeOf(Number(pid)) === undefined);
      continue;
    }
    const command = String(step);
    const args = command.split(' ').map((word) => word.replace('ID', id));
    const result = run(args, { cwd: bundle });
    expectOneLine(command, result, run === runc);
    outcomes.push({
      step: command,
      status: result.status,
      stdout: normalized(result.stdout, id),
      stderr: result.status === 0 || !isFailure(result) ? result.stderr : 'an error',
    });
  }
  return outcomes;
}

/** Whether the command itself failed, and not the container's program. */
function isFailure({ stderr }: Result): boolean {
  return /^scow: |level=error|Incorrect Usage/m.test(stderr);
}

function expectOneLine(command: string, { stderr, status }: Result, isRunc: boolean): void {
  if (isRunc || status === 0 || !stderr.startsWith('scow: ')) return;
  expect([command, stderr.trimEnd().split('\n').length]).toEqual([command, 1]);
}

/** Makes equal what must differ: versions, PIDs, times and IDs (of one length, for tables). */
function normalized(text: string, id: string): string {
  // Usage goes to stdout with runc; where it goes is not what engines look at.
  if (text.startsWith('NAME:') || text.startsWith('Incorrect Usage')) return '';
  return text
    .replaceAll(id, 'ID')
    .replace(/("ociVersion": ?)"1\.[\w.-]+"/g, '$1"VERSION"')
    .replace(/"pid":( ?)[1-9]\d*/g, '"pid":$1PID')
    .replace(/^(ID +)[1-9]\d* +/gm, '$1PID ')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z */g, 'TIME ')
    .replace(/CREATED +/g, 'CREATED ');
}

describe.each(ENGINES)('the log of scow under %s', (engine: Engine) => {
  test.each(['text', 'json'])('has the form of runc: %s', (format) => {
    const [expected, got] = [runc, scow].map((run) => {
      const log = `${bundleOf()}.log`;
      const flags = ['--log', log, '--log-format', format];
      const result = run([...flags, 'state', 'nobody'], { engine });
      expect(result).toMatchObject({ status: 1, stdout: '' });
      expect(result.stderr).toMatch(/container does not exist.*\n$/);
      return readFileSync(log, 'utf8');
    });
    const form = (line: string) =>
      line
        .replace(/container does not exist[^\n]*?("[,\n])/, 'MESSAGE$1')
        .replace(/\d{4}[^"]*Z/, 'TIME');
    expect(form(got ?? '')).toBe(form(expected ?? ''));
  });
});
