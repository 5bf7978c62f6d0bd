/** Containers with a terminal: given to a console socket, or followed in the foreground. */
import type { ChildProcess } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import {
  both,
  commandLine,
  type Edit,
  mapped,
  portable,
  processOf,
  shell,
} from '../../helpers/container.ts';
import { type Exit, Terminal } from '../../helpers/pty.ts';
import { TerminalReceiver } from '../../helpers/recvtty.ts';
import { bundleOf, cleanUp, ENGINES, newId, scow, testDirectory } from '../../helpers/scow.ts';

const terminal: Edit = (config) => {
  processOf(config).terminal = true;
};

const user: Edit = (config) => {
  processOf(config).user = { uid: 1000, gid: 1000 };
};

/** For a shell: a program in the foreground, which says when it is there. */
const IN_FRONT = `sh -c "echo as''leep; exec sleep 1000"\r`;

describe.each(ENGINES)('a console socket under %s', (engine) => {
  let receiver: TerminalReceiver;
  beforeEach(() => {
    receiver = new TerminalReceiver(join(testDirectory(), 'console'));
  });
  afterEach(() => {
    receiver.close();
    cleanUp();
  });

  /** Creates and starts a container whose terminal the receiver holds. */
  async function start(...edits: readonly Edit[]): Promise<string> {
    const id = newId();
    const bundle = bundleOf(both(portable, terminal, ...edits));
    const args = ['create', '--bundle', bundle, '--console-socket', receiver.path, id];
    expect(scow(args, { engine })).toMatchObject({ status: 0, stderr: '', stdout: '' });
    await receiver.receive();
    expect(scow(['start', id], { engine })).toMatchObject({ status: 0, stderr: '' });
    return id;
  }

  it('takes the terminal of the program', async () => {
    await start(shell('tty; ls -l /proc/self/fd/0 | grep -c dev/pts; read word; echo "<$word>"'));
    expect(receiver.name).toBe('/dev/ptmx');
    await receiver.sees(/\/dev\/pts\/0\r\n1\r\n/);
    receiver.type('ahoy\r');
    await receiver.sees(/<ahoy>\r\n/);
  });

  it('is the controlling terminal: keys stop and end programs', async () => {
    await start(
      shell(
        'trap "echo interrupted" INT; tty > /dev/tty; echo ready; while :; do sleep 0.01; done',
      ),
    );
    await receiver.sees(/ready/);
    receiver.type('\x03');
    await receiver.sees(/interrupted/);
    // An interactive shell would complain: «can't access tty; job control turned off».
    await start((config) => {
      processOf(config).args = ['sh', '-i'];
    });
    receiver.type(IN_FRONT);
    await receiver.sees(/asleep/);
    receiver.type('\x1a');
    await receiver.sees(/Stopped/);
    receiver.type('kill %1; echo $((6 * 7))\r');
    await receiver.sees(/42/);
    expect(receiver.output).not.toContain('job control');
  });

  it('has the console on it, and the configured size', async () => {
    const edit: Edit = (config) => {
      processOf(config).consoleSize = { height: 31, width: 117 };
    };
    await start(
      edit,
      shell('stty size; stat -c "%F %t %u %a" /dev/console; echo to the console > /dev/console'),
    );
    await receiver.sees(/31 117\r\n/);
    await receiver.sees(/character special file 88 0 6[0-9]+\r\n/);
    await receiver.sees(/to the console\r\n/);
  });

  it('belongs to the user of the process', async () => {
    await start(user, shell('stat -c "%u" $(tty); echo out > /dev/tty; echo err > /dev/stderr'));
    await receiver.sees(/1000\r\nout\r\nerr\r\n/);
  });

  it('belongs to the user in a user namespace, too', async () => {
    await start(mapped, user, shell('stat -c "%u %g" $(tty) /dev/console; id -u; id -G'));
    await receiver.sees(/1000 5\r\n1000 5\r\n1000\r\n/);
  });

  it('leaves no copy of the master in the container', async () => {
    await start(shell('ls -l /proc/self/fd | grep -c ptmx; echo end'));
    await receiver.sees(/0\r\nend/);
  });

  it('needs a devpts: without one that is said, and nothing is left', () => {
    const edit: Edit = (config) => {
      config.mounts = config.mounts?.filter(({ type }) => type !== 'devpts') ?? [];
    };
    const bundle = bundleOf(both(portable, terminal, edit));
    const args = ['create', '--bundle', bundle, '--console-socket', receiver.path, newId()];
    const { status, stderr } = scow(args, { engine });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^scow: .*\/dev\/pts.*\[\/process\/terminal\]\n$/);
    expect(scow(['list', '-q'], { engine }).stdout).toBe('');
  });

  it.each([
    ['missing', 'none', /no such file/],
    ['no socket', 'bundle', /it is not a socket|connection refused/i],
  ])('that is %s is an error, and nothing is left', (_, path, expected) => {
    const bundle = bundleOf(both(portable, terminal));
    const id = newId();
    const socket = path === 'bundle' ? join(bundle, 'config.json') : join(testDirectory(), path);
    const args = ['create', '--bundle', bundle, '--console-socket', socket, id];
    const { status, stderr } = scow(args, { engine });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^scow: .*\n$/);
    expect(stderr).toMatch(expected);
    expect(scow(['list', '-q'], { engine }).stdout).toBe('');
  });
});

describe.each(ENGINES)('run with a terminal in the foreground under %s', (engine) => {
  let person: Terminal;
  let settings: string;
  let flags: number;
  const running: { child: ChildProcess; ended: Promise<Exit> }[] = [];
  beforeEach(() => {
    person = new Terminal({ rows: 33, columns: 101 });
    settings = person.settings();
    flags = person.flags();
  });
  afterEach(async () => {
    for (const { child, ended } of running.splice(0)) {
      child.kill('SIGKILL');
      await ended;
    }
    person.close();
    cleanUp();
  });

  function run(edit: Edit, ...options: string[]) {
    const bundle = bundleOf(both(portable, terminal, edit));
    const id = newId();
    const started = person.run([
      ...commandLine(engine),
      ...['run', ...options, '--bundle', bundle, id],
    ]);
    running.push(started);
    return { ...started, id };
  }

  it('is a conversation', async () => {
    const { ended } = run(shell('tty; read word; echo "<$word>"; exit 3'));
    await person.sees(/\/dev\/pts\/0\r\n/);
    person.type('ahoy\r');
    await person.sees(/<ahoy>\r\n/);
    expect(await ended).toEqual({ code: 3, signal: null });
    expect(person.settings()).toBe(settings);
    expect(person.flags()).toBe(flags);
  });

  it('has the size of the window, and follows it', async () => {
    run(shell('stty size; trap "stty size" WINCH; while :; do sleep 0.01; done'));
    await person.sees(/33 101\r\n/);
    person.resize({ rows: 20, columns: 70 });
    await person.sees(/20 70\r\n/);
  });

  it('passes keys on that mean signals', async () => {
    run(shell('trap "echo interrupted" INT; echo ready; while :; do sleep 0.01; done'));
    await person.sees(/ready/);
    person.type('\x03');
    await person.sees(/interrupted/);
  });

  it('shows all that is written before the end', async () => {
    const { ended } = run(shell('seq 1 20000; printf end'));
    await person.sees(/end$/);
    await ended;
    const lines = person.look().split('\r\n');
    expect(lines.at(-1)).toBe('end');
    expect(lines.slice(0, -1)).toEqual(Array.from({ length: 20000 }, (_, i) => String(i + 1)));
  });

  it('restores the terminal when scow is ended by a signal that the program heeds', async () => {
    const { child, ended } = run(
      shell('trap "exit 9" TERM; echo ready; while :; do sleep 0.01; done'),
    );
    await person.sees(/ready/);
    expect(person.settings()).not.toBe(settings);
    child.kill('SIGTERM');
    expect(await ended).toEqual({ code: 9, signal: null });
    expect(person.settings()).toBe(settings);
  });

  it('restores the terminal when the program is killed', async () => {
    const { ended, id } = run(shell('echo ready; exec sleep 1000'));
    await person.sees(/ready/);
    expect(scow(['kill', id, 'KILL'], { engine }).status).toBe(0);
    expect(await ended).toEqual({ code: 137, signal: null });
    expect(person.settings()).toBe(settings);
  });

  it('restores the terminal when the container cannot be created', async () => {
    const { ended } = run((config) => {
      processOf(config).args = ['none'];
    });
    expect(await ended).toEqual({ code: 1, signal: null });
    await person.sees(/scow: .*none.*\[\/process\/args\/0\]\r\n/);
    expect(person.settings()).toBe(settings);
    expect(person.flags()).toBe(flags);
  });

  it('has job control, as a user too', async () => {
    run(
      both(user, (config) => {
        processOf(config).args = ['sh', '-i'];
      }),
    );
    await person.sees(/\$ /);
    person.type(IN_FRONT);
    await person.sees(/asleep/);
    person.type('\x1a');
    await person.sees(/Stopped/);
    person.type('exec sh -c "exit 5"\r');
    expect(await running[0]?.ended).toEqual({ code: 5, signal: null });
  });

  it('does not change the caller’s terminal for a program without one', async () => {
    const bundle = bundleOf(both(portable, shell('tty; stty size; exit 4')));
    const { ended } = person.run([...commandLine(engine), 'run', '--bundle', bundle, newId()]);
    expect(await ended).toEqual({ code: 4, signal: null });
    expect(person.settings()).toBe(settings);
    expect(person.flags()).toBe(flags);
    expect(person.look()).toContain('33 101');
  });

  it('ends when the container was deleted by force', async () => {
    const { ended, id } = run(shell('echo ready; exec sleep 1000'));
    await person.sees(/ready/);
    expect(scow(['delete', '--force', id], { engine }).status).toBe(0);
    expect((await ended).code).toBe(137);
    expect(statSync(testDirectory()).isDirectory()).toBe(true);
  });
});
