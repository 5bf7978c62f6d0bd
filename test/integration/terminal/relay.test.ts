import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { F, O, POLL, TIO } from '../../../runtime/linux/constants.ts';
import { poll } from '../../../runtime/linux/poll.ts';
import { pipe } from '../../../runtime/linux/socket.ts';
import { syscall } from '../../../runtime/linux/syscall.ts';
import { type Exit, moment, readNow, Terminal } from '../../helpers/pty.ts';

const BUN = 'node_modules/.bin/bun';
const folder = mkdtempSync(join(tmpdir(), 'scow-relay-'));
const bundled = join(folder, 'demo.cjs');
const ENGINES: Record<string, string[]> = {
  Node: [process.execPath, bundled],
  Bun: [BUN, 'run', 'test/helpers/relay-demo-bun.ts'],
};

beforeAll(() => {
  const options = ['--target=node', '--format=cjs', `--outfile=${bundled}`];
  execFileSync(BUN, ['build', ...options, 'test/helpers/relay-demo-node.ts']);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** 10 MB of lines, and their digest. */
const MANY_LINES = 'seq 1 1400000';
const lines = () => {
  const hash = createHash('sha256');
  let length = 0;
  for (let i = 1; i <= 1_400_000; i++) {
    hash.update(`${i}\n`);
    length += `${i}\n`.length;
  }
  return { length, digest: hash.digest('hex') };
};
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

const flagsOf = (fd: number) => syscall('fcntl', fd, F.GETFL);

describe.each(Object.keys(ENGINES))('the foreground relay under %s', (engine) => {
  let terminal: Terminal;
  let found: string;
  const running: { child: ChildProcess; ended: Promise<Exit> }[] = [];

  const relay = (command: string, options: Parameters<Terminal['run']>[1] = {}) => {
    const started = terminal.run([...(ENGINES[engine] ?? []), command], options);
    running.push(started);
    return started;
  };
  const withVariables = (variables: NodeJS.ProcessEnv) => ({
    env: { ...process.env, ...variables },
  });

  beforeEach(() => {
    terminal = new Terminal({ rows: 30, columns: 100 });
    found = terminal.settings();
  });
  afterEach(async () => {
    for (const { child, ended } of running.splice(0)) {
      child.kill('SIGKILL');
      await ended;
    }
    terminal.close();
  });

  test('keys go in, output comes out, the status is the program’s', async () => {
    const { ended } = relay('read word; echo "heard <$word>"; exit 3');
    terminal.type('ahoy\r');
    await terminal.sees(/heard <ahoy>\r\n/);
    expect(await ended).toEqual({ code: 3, signal: null });
    expect(terminal.settings()).toBe(found);
  });

  test('every key reaches the program alone: the caller’s terminal is raw', async () => {
    const { child, ended } = relay(
      'trap "echo interrupted; exit 7" INT; echo ready; while :; do sleep 0.1; done',
    );
    await terminal.sees(/ready/);
    expect(terminal.settings()).not.toBe(found);
    terminal.type('\x03');
    await terminal.sees(/interrupted/);
    expect(await ended).toEqual({ code: 7, signal: null });
    expect(child.signalCode).toBeNull();
    expect(terminal.settings()).toBe(found);
  });

  test('bytes pass unchanged in both directions', async () => {
    const { ended } = relay('stty raw -echo; echo ready; head -c 256 | sha256sum');
    await terminal.sees(/ready\n/);
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    writeSync(terminal.master, bytes);
    await terminal.sees(new RegExp(digest(bytes)));
    await ended;
  });

  test('the size of the window is the program’s from the start, and follows', async () => {
    const { ended } = relay(
      'trap "stty size; exit" WINCH; stty size; echo ready; while :; do sleep 0.1; done',
    );
    await terminal.sees(/30 100\r\nready/);
    terminal.resize({ rows: 41, columns: 123 });
    await terminal.sees(/41 123/);
    await ended;
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)(
    '%s ends it, with the terminal restored',
    async (signal) => {
      const { child, ended } = relay('echo ready; read never');
      await terminal.sees(/ready/);
      expect(terminal.settings()).not.toBe(found);
      child.kill(signal);
      expect(await ended).toEqual({ code: null, signal });
      expect(terminal.settings()).toBe(found);
    },
  );

  test('a signal that the caller handles is left to it', async () => {
    const { child, ended } = relay(
      'trap "echo forwarded" TERM; echo ready; read word; read word; echo $word',
      withVariables({ FORWARD: '1' }),
    );
    await terminal.sees(/ready/);
    const raw = terminal.settings();
    child.kill('SIGTERM');
    await terminal.sees(/forwarded/);
    expect(terminal.settings()).toBe(raw);
    terminal.type('one\rtwo\r');
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(terminal.settings()).toBe(found);
  });

  test.each([
    ['throw', 1],
    ['exit', 9],
  ])('on %s the terminal is restored', async (way, code) => {
    const { child, ended } = relay('echo ready; read never', withVariables({ ON_USR1: way }));
    await terminal.sees(/ready/);
    child.kill('SIGUSR1');
    expect(await ended).toEqual({ code, signal: null });
    expect(terminal.settings()).toBe(found);
  });

  test('restore gives the terminal back at once, and hangs up', async () => {
    const { child, ended } = relay('echo ready; read never', withVariables({ ON_USR1: 'restore' }));
    await terminal.sees(/ready/);
    child.kill('SIGUSR1');
    await ended;
    expect(terminal.settings()).toBe(found);
  });

  test('after a stop and a continuation the terminal is raw again', async () => {
    const { child, ended } = relay('echo ready; read word; echo "heard <$word>"');
    await terminal.sees(/ready/);
    const raw = terminal.settings();
    child.kill('SIGSTOP');
    const stopped = () => /^State:\tT/m.test(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
    while (!stopped()) await moment();
    syscall('ioctl', terminal.slave, TIO.TCSETS, Buffer.from(found, 'hex'));
    expect(terminal.settings()).toBe(found);
    child.kill('SIGCONT');
    while (terminal.settings() !== raw) await moment();
    terminal.type('again\r');
    await terminal.sees(/heard <again>/);
    await ended;
    expect(terminal.settings()).toBe(found);
  });

  test('10 MB arrive unbroken on a terminal, each line ended once', async () => {
    const { ended } = relay(MANY_LINES);
    while (!terminal.look().endsWith('\n1400000\r\n')) await moment();
    await ended;
    const { length, digest: expected } = lines();
    expect(terminal.screen.length).toBe(length + 1_400_000);
    expect(digest(Buffer.from(terminal.screen.replaceAll('\r\n', '\n'), 'latin1'))).toBe(expected);
  });

  test('10 MB arrive unbroken in a pipe that is read slowly, lines ended plainly', async () => {
    const [reader, writer] = pipe();
    const { ended } = relay(MANY_LINES, { streams: ['terminal', writer, 'terminal'] });
    closeSync(writer);
    const own = syscall('openat', -100, `/proc/self/fd/${reader}`, O.NONBLOCK | O.CLOEXEC, 0);
    const { length, digest: expected } = lines();
    const parts: Buffer[] = [];
    for (let have = 0; have < length; ) {
      const part = readNow(own);
      parts.push(part);
      have += part.byteLength;
      await moment();
    }
    await ended;
    expect(digest(Buffer.concat(parts))).toBe(expected);
    expect(terminal.settings()).toBe(found);
    closeSync(own);
    closeSync(reader);
  });

  test('while nobody reads the output, keys and signals go on', async () => {
    const [reader, writer] = pipe();
    const { child, ended } = relay('echo first; read word; yes', {
      streams: ['terminal', writer, 'terminal'],
      ...withVariables({ ON_USR1: 'exit' }),
    });
    terminal.type('go\r');
    while ((poll([{ fd: writer, events: POLL.OUT }], 0)?.[0] ?? 1) !== 0) await moment();
    child.kill('SIGUSR1');
    expect(await ended).toEqual({ code: 9, signal: null });
    expect(terminal.settings()).toBe(found);
    for (const fd of [reader, writer]) closeSync(fd);
  });

  test('O_NONBLOCK of the caller’s streams is never set', async () => {
    const [reader, writer] = pipe();
    const [typed, typing] = pipe();
    const before = [terminal.flags(), flagsOf(writer), flagsOf(typed)];
    const onTerminal = relay('echo ready; read word');
    await terminal.sees(/ready/);
    expect(terminal.flags()).toBe(before[0]);
    terminal.type('\r');
    await onTerminal.ended;
    const onPipes = relay('read word; echo $word >&2; read word', {
      streams: [typed, writer, 'terminal'],
    });
    writeSync(typing, 'piped\n');
    let output = '';
    const text = Buffer.alloc(100);
    while (!output.includes('piped\npiped\n'))
      output += text.toString('latin1', 0, syscall('read', reader, text, 100));
    expect([terminal.flags(), flagsOf(writer), flagsOf(typed)]).toEqual(before);
    writeSync(typing, 'end\n');
    await onPipes.ended;
    expect([terminal.flags(), flagsOf(writer), flagsOf(typed)]).toEqual(before);
    for (const fd of [reader, writer, typed, typing]) closeSync(fd);
  });

  test('input from a pipe is typed, and its end is not the program’s', async () => {
    const [reader, writer] = pipe();
    const { ended } = relay('read word; echo "heard <$word>"; sleep 0.5; echo still here', {
      streams: [reader, 'terminal', 'terminal'],
    });
    closeSync(reader);
    writeSync(writer, 'piped\n');
    closeSync(writer);
    await terminal.sees(/heard <piped>/);
    await terminal.sees(/still here/);
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(terminal.settings()).toBe(found);
  });

  test('sockets and files serve as well, without any terminal', async () => {
    const [command = '', ...args] = ENGINES[engine] ?? [];
    const child = spawn(command, [...args, 'read word; echo "heard <$word>"; tty; exit 4'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.write('through a socket\n');
    let output = '';
    child.stdout.on('data', (bytes) => {
      output += bytes;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(output).toMatch(/^through a socket\nheard <through a socket>\n\/dev\/pts\/\d+\n$/);
    expect(code).toBe(4);
  });

  test('a reader of the output that leaves hangs the terminal up', async () => {
    const [reader, writer] = pipe();
    const { ended } = relay('echo ready; while echo more; do sleep 0.05; done', {
      streams: ['terminal', writer, 'terminal'],
    });
    closeSync(writer);
    expect(syscall('read', reader, Buffer.alloc(5), 5)).toBeGreaterThan(0);
    closeSync(reader);
    expect((await ended).code).toBe(128);
    expect(terminal.settings()).toBe(found);
  });

  test('the end does not wait for others that hold the terminal', async () => {
    const { ended } = relay("trap '' HUP; sleep 1000 & echo holder $!; exit 5");
    const [, holder] = await terminal.sees(/holder (\d+)/);
    expect(await ended).toEqual({ code: 5, signal: null });
    process.kill(Number(holder), 'SIGKILL');
  });

  test('a program that closes the terminal and opens it again goes on', async () => {
    const { ended } = relay(
      'path=$(tty); exec <&- >&- 2>&-; sleep 0.3; echo back >"$path"; sleep 0.1; exit 6',
    );
    await terminal.sees(/back/);
    expect(await ended).toEqual({ code: 6, signal: null });
  });
});
