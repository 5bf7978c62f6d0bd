/** `run` in the foreground: scow stands in for the program. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import {
  both,
  commandLine,
  type Edit,
  linuxOf,
  portable,
  processOf,
  run,
  shell,
} from '../../helpers/container.ts';
import {
  bundleOf,
  cleanUp,
  ENGINES,
  type Engine,
  eventually,
  newId,
  scow,
} from '../../helpers/scow.ts';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  cleanUp();
});

/** A run in the foreground, with what it wrote so far. */
class Foreground {
  readonly id = newId();
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  output = '';
  #changed: () => void = () => {};

  constructor(engine: Engine, edit: Edit, flags: readonly string[] = []) {
    const [command = '', ...args] = commandLine(engine);
    const bundle = bundleOf(both(portable, edit));
    this.child = spawn(command, [...args, 'run', ...flags, '--bundle', bundle, this.id], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(this.child);
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code, signal) => resolve({ code, signal }));
    });
    this.child.stdout?.on('data', (data) => {
      this.output += data;
      this.#changed();
    });
  }

  async prints(text: string): Promise<void> {
    while (!this.output.includes(text))
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
  }
}

const FORWARDED = [
  ...['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGTERM', 'SIGCONT'],
  ...['SIGTSTP', 'SIGTTIN', 'SIGTTOU', 'SIGXCPU', 'SIGXFSZ', 'SIGVTALRM', 'SIGWINCH', 'SIGIO'],
] as NodeJS.Signals[];

/** The first process of a PID namespace ignores the signals that it has no handler for. */
const hostPids: Edit = (config) => {
  const linux = linuxOf(config);
  linux.namespaces = linux.namespaces?.filter(({ type }) => type !== 'pid') ?? [];
};

describe.each(ENGINES)('run in the foreground under %s', (engine) => {
  it.each([0, 1, 7, 125, 255])('ends with the program’s status %i', (status) => {
    expect(run(engine, shell(`exit ${status}`))).toMatchObject({
      status,
      signal: null,
      stderr: '',
    });
  });

  it.each([
    ['TERM', 143],
    ['KILL', 137],
    ['SEGV', 139],
    ['RTMIN', 162],
  ])('ends with 128 plus the number of SIG%s, which killed the program', async (name, status) => {
    const it = new Foreground(engine, both(hostPids, shell('echo ready; exec sleep 1000')));
    await it.prints('ready');
    expect(scow(['kill', it.id, name], { engine })).toMatchObject({ status: 0 });
    expect(await it.ended).toEqual({ code: status, signal: null });
    expect(scow(['state', it.id], { engine }).status).toBe(1);
  });

  it('passes signals on to the program', async () => {
    const traps = FORWARDED.map((name) => {
      const number = constants.signals[name];
      return `trap 'echo got ${name}.' ${number}`;
    });
    const it = new Foreground(
      engine,
      shell(`${traps.join('\n')}; echo ready; while :; do sleep 0.01; done`),
    );
    await it.prints('ready');
    for (const name of FORWARDED) {
      it.child.kill(name);
      await it.prints(`got ${name}.`);
    }
    it.child.kill('SIGKILL');
    await it.ended;
  });

  it('passes its standard input on, and its end', async () => {
    const it = new Foreground(engine, shell('cat; echo end'));
    it.child.stdin?.write('a line\n');
    await it.prints('a line');
    it.child.stdin?.end('another');
    await it.ended;
    expect(it.output).toBe('a line\nanotherend\n');
  });

  it('leaves nothing behind, and a stopped container with --keep', () => {
    const bundle = bundleOf(both(portable, shell('exit 3')));
    const id = newId();
    expect(scow(['run', '--keep', '--bundle', bundle, id], { engine })).toMatchObject({
      status: 3,
    });
    expect(JSON.parse(scow(['state', id], { engine }).stdout)).toMatchObject({ status: 'stopped' });
    expect(scow(['delete', id], { engine })).toMatchObject({ status: 0, stderr: '' });
    expect(scow(['run', '--bundle', bundle, id], { engine })).toMatchObject({ status: 3 });
    expect(scow(['state', id], { engine })).toMatchObject({ status: 1 });
  });

  it('takes the program down with it when it is killed', async () => {
    const it = new Foreground(engine, shell('echo ready; exec sleep 1000'));
    await it.prints('ready');
    const { pid } = JSON.parse(scow(['state', it.id], { engine }).stdout);
    it.child.kill('SIGKILL');
    await it.ended;
    await eventually(() => !existsSync(`/proc/${pid}`));
    expect(scow(['delete', '--force', it.id], { engine })).toMatchObject({ status: 0, stderr: '' });
  });

  it('does so too when the program runs as a user', async () => {
    const user: Edit = (config) => {
      processOf(config).user = { uid: 1000, gid: 1000 };
    };
    const it = new Foreground(engine, both(user, shell('echo ready; exec sleep 1000')));
    await it.prints('ready');
    const { pid } = JSON.parse(scow(['state', it.id], { engine }).stdout);
    it.child.kill('SIGKILL');
    await it.ended;
    await eventually(() => !existsSync(`/proc/${pid}`));
    expect(scow(['delete', '--force', it.id], { engine })).toMatchObject({ status: 0, stderr: '' });
  });
});
