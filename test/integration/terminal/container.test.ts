import type { ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Exit, Terminal } from '../../helpers/pty.ts';
import { TerminalReceiver } from '../../helpers/recvtty.ts';
import {
  bundleOf,
  cleanUp,
  commandOf,
  type EditableConfig,
  ENGINES,
  type Engine,
  eventually,
  newId,
  type Result,
  rootOf,
  runc,
  scow,
  scowWords,
  testDirectory,
} from '../../helpers/scow.ts';

/** A program on a terminal, for bundleOf. */
const onTerminal =
  (script: string, size?: { height: number; width: number }) => (config: EditableConfig) => {
    if (config.process === undefined) return;
    config.process.args = ['sh', '-c', script];
    config.process.terminal = true;
    if (size !== undefined) config.process.consoleSize = size;
  };

type Run = (args: readonly string[]) => Result;
const RUNTIMES: readonly [string, Run][] = [
  ...ENGINES.map((engine): [string, Run] => [`scow (${engine})`, (args) => scow(args, { engine })]),
  ['runc', (args) => runc(args)],
];

describe.each(RUNTIMES)('%s create --console-socket', (_, run) => {
  let receiver: TerminalReceiver;
  beforeEach(() => {
    receiver = new TerminalReceiver(join(testDirectory(), 'console'));
  });
  afterEach(() => {
    receiver.close();
    cleanUp();
  });
  const create = (bundle: string, id: string) =>
    run(['create', '--bundle', bundle, '--console-socket', receiver.path, id]);

  test('the terminal is the program’s in every way', async () => {
    const id = newId();
    const bundle = bundleOf(
      onTerminal('tty; stty size; ls -1 /proc/self/fd; read word; echo "heard <$word>" >/dev/tty', {
        height: 40,
        width: 90,
      }),
    );
    expect(create(bundle, id)).toMatchObject({ status: 0, stderr: '' });
    await receiver.receive();
    expect(receiver.name).toMatch(/ptmx$/);
    expect(run(['start', id]).status).toBe(0);
    // The fourth is what ls reads the folder with: nothing else was inherited.
    await receiver.sees(/\/dev\/pts\/0\r\n40 90\r\n0\r\n1\r\n2\r\n3\r\n/);
    receiver.type('ahoy\r');
    await receiver.sees(/heard <ahoy>\r\n/);
    await eventually(() => run(['state', id]).stdout.includes('"stopped"'));
    expect(run(['delete', id]).status).toBe(0);
  });

  test('control-C interrupts the program', async () => {
    const id = newId();
    const bundle = bundleOf(
      onTerminal('trap "echo interrupted; exit" INT; echo ready; while :; do sleep 1; done'),
    );
    expect(create(bundle, id).status).toBe(0);
    await receiver.receive();
    run(['start', id]);
    await receiver.sees(/ready/);
    receiver.type('\x03');
    await receiver.sees(/interrupted/);
    await eventually(() => run(['state', id]).stdout.includes('"stopped"'));
    expect(run(['delete', id]).status).toBe(0);
  });

  test('when nobody listens, create fails and leaves nothing', () => {
    receiver.close({ keepFile: true });
    const id = newId();
    const { status, stderr } = create(bundleOf(onTerminal('true')), id);
    expect(status).toBe(1);
    expect(stderr).not.toBe('');
    expect(run(['state', id]).status).toBe(1);
    receiver = new TerminalReceiver(join(testDirectory(), 'other'));
  });
});

describe.each(ENGINES)('scow run in the foreground of a terminal (%s)', (engine: Engine) => {
  let terminal: Terminal;
  let found: string;
  let started: { child: ChildProcess; ended: Promise<Exit> } | undefined;
  const run = (id: string, script: string) => {
    const bundle = bundleOf(onTerminal(script));
    started = terminal.run([...scowWords(engine), 'run', '--bundle', bundle, id], {});
    return started;
  };
  beforeEach(() => {
    terminal = new Terminal({ rows: 33, columns: 111 });
    found = terminal.settings();
  });
  afterEach(async () => {
    started?.child.kill('SIGKILL');
    await started?.ended;
    terminal.close();
    cleanUp();
  });

  test('keys, screen, size and status are those of the container’s terminal', async () => {
    const { ended } = run(
      newId(),
      'trap "stty size" WINCH; stty size; read word; echo "heard <$word>"; read word; exit 5',
    );
    await terminal.sees(/33 111\r\n/);
    expect(terminal.settings()).not.toBe(found);
    terminal.type('ahoy\r');
    await terminal.sees(/heard <ahoy>\r\n/);
    terminal.resize({ rows: 20, columns: 60 });
    terminal.type('\r');
    await terminal.sees(/20 60\r\n/);
    terminal.type('\r');
    expect(await ended).toEqual({ code: 5, signal: null });
    expect(terminal.settings()).toBe(found);
  });

  test('a key that follows a new size comes to the program after it', async () => {
    const { child, ended } = run(
      newId(),
      'trap "stty size" WINCH; echo ready; read word; echo "end of line"; exit 5',
    );
    await terminal.sees(/ready/);
    child.kill('SIGSTOP');
    terminal.resize({ rows: 20, columns: 60 });
    terminal.type('\r');
    child.kill('SIGCONT');
    expect(await ended).toEqual({ code: 5, signal: null });
    expect(terminal.look()).toMatch(/20 60[\r\n]+end of line/);
  });

  test('control-C is the program’s, a signal to scow is passed on', async () => {
    const { child, ended } = run(
      newId(),
      'trap "echo keys" INT; trap "echo signal; exit 6" TERM; echo ready; while :; do sleep 0.1; done',
    );
    await terminal.sees(/ready/);
    terminal.type('\x03');
    await terminal.sees(/keys/);
    child.kill('SIGTERM');
    await terminal.sees(/signal/);
    expect(await ended).toEqual({ code: 6, signal: null });
    expect(terminal.settings()).toBe(found);
  });

  test('the caller’s streams block as before, during and after', async () => {
    const flags = terminal.flags();
    const { ended } = run(newId(), 'echo ready; read word');
    await terminal.sees(/ready/);
    expect(terminal.flags()).toBe(flags);
    terminal.type('\r');
    await ended;
    expect(terminal.flags()).toBe(flags);
  });

  test('all of the last output arrives', async () => {
    const { ended } = run(newId(), 'seq 1 100000');
    await terminal.sees(/99999\r\n/);
    expect(await ended).toEqual({ code: 0, signal: null });
    const expected = Array.from({ length: 100_000 }, (_, i) => `${i + 1}\r\n`).join('');
    expect(terminal.look()).toBe(expected);
  });

  test('a program that does not exist is told on a terminal as it was', async () => {
    const bundle = bundleOf((config) => {
      onTerminal('')(config);
      if (config.process !== undefined) config.process.args = ['no-such-program'];
    });
    const root = rootOf('scow');
    const { ended } = terminal.run(
      [...commandOf(engine), '--root', root, 'run', '--bundle', bundle, newId()],
      {},
    );
    expect((await ended).code).toBe(1);
    expect(terminal.look()).toMatch(/no-such-program/);
    expect(terminal.settings()).toBe(found);
    expect(readdirSync(root)).toEqual([]);
  });
});
