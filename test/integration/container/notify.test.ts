/** How a container's program tells the service manager that it is ready: sd_notify(3). */
import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { POLL } from '../../../runtime/linux/constants.ts';
import { bindDatagram } from '../../../runtime/linux/datagram.ts';
import { poll } from '../../../runtime/linux/poll.ts';
import { receiveMessage } from '../../../runtime/linux/socket.ts';
import { both, mounting, processOf } from '../../helpers/container.ts';
import {
  bundleOf,
  cleanUp,
  ENGINES,
  eventually,
  newId,
  rootOf,
  scow,
  startScow,
  testDirectory,
} from '../../helpers/scow.ts';

const children: ChildProcess[] = [];
const sockets: number[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const fd of sockets.splice(0)) closeSync(fd);
  cleanUp();
});

/** Stands in for systemd. */
class Manager {
  readonly address = join(testDirectory(), 'manager');
  readonly said: string[] = [];
  readonly #fd: number;

  constructor() {
    rmSync(this.address, { force: true });
    this.#fd = bindDatagram(testDirectory(), 'manager');
    sockets.push(this.#fd);
  }

  async hears(text: string): Promise<void> {
    await eventually(() => {
      this.#listen();
      return this.said.includes(text);
    });
  }

  #listen(): void {
    while (poll([{ fd: this.#fd, events: POLL.IN }], 0)?.[0]) {
      const { bytes, descriptors } = receiveMessage(this.#fd, 4096, 1) ?? {
        bytes: [],
        descriptors: [],
      };
      this.said.push(Buffer.from(bytes).toString());
      for (const fd of descriptors) closeSync(fd);
    }
  }
}

/** Sends messages one after another, and says on stdout what it saw of the socket. */
const PROGRAM = `
use Socket;
$| = 1;
my $path = $ENV{NOTIFY_SOCKET};
print "at $path\\n";
open(my $write, '>', '/run/notify/file') and print "writable\\n";
socket(my $socket, PF_UNIX, SOCK_DGRAM, 0) or die $!;
for my $message (@ARGV) { send($socket, $message, 0, pack_sockaddr_un($path)) or die $!; }
sleep 1000;
`;

/** A container of perl(1), for no shell can send such messages. */
function bundleSaying(...messages: string[]): string {
  const from = (destination: string, source: string) => ({
    destination,
    source,
    options: ['rbind', 'ro'],
  });
  return bundleOf(
    both(
      mounting(from('/usr', '/usr'), from('/lib', '/usr/lib'), from('/lib64', '/usr/lib64')),
      (config) => {
        const process = processOf(config);
        process.args = ['/usr/bin/perl', '-e', PROGRAM, ...messages];
        process.user = { uid: 1000, gid: 1000 };
      },
    ),
  );
}

describe.each(ENGINES)('a program that says that it is ready (%s)', (engine) => {
  const start = (args: string[], address: string) => {
    const { child } = startScow(args, {
      engine,
      env: { ...process.env, NOTIFY_SOCKET: address },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    let output = '';
    child.stdout?.on('data', (data) => {
      output += data;
    });
    return { child, output: () => output };
  };
  const pidOf = (id: string) =>
    Number(JSON.parse(scow(['state', id], { engine: 'bun' }).stdout).pid);

  test('is waited for by run --detach, which tells whom to watch', async () => {
    const id = newId();
    const manager = new Manager();
    const bundle = bundleSaying('STATUS=READY=1', 'X_SECRET=1\nREADY=1\nMAINPID=1');
    const { child, output } = start(['run', '--detach', '-b', bundle, id], manager.address);
    await manager.hears('BARRIER=1');
    await eventually(() => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
    expect(manager.said).toEqual([`READY=1\nMAINPID=${pidOf(id)}\n`, 'BARRIER=1']);
    expect(output()).toBe('at /run/notify/notify.sock\n');
    expect(statSync(join(rootOf('scow'), id, 'notify')).mode & 0o777).toBe(0o755);
  });

  test('is waited for by start', async () => {
    const id = newId();
    const manager = new Manager();
    const bundle = bundleSaying('READY=1');
    const created = start(['create', '-b', bundle, id], manager.address).child;
    await eventually(() => created.exitCode !== null);
    expect({ code: created.exitCode, said: manager.said }).toEqual({ code: 0, said: [] });
    const { child } = start(['start', id], manager.address);
    await manager.hears('BARRIER=1');
    await eventually(() => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
    expect(manager.said).toEqual([`READY=1\nMAINPID=${pidOf(id)}\n`, 'BARRIER=1']);
  });

  test('is listened to by run in the foreground, which is to be watched itself', async () => {
    const id = newId();
    const manager = new Manager();
    const { child } = start(['run', '-b', bundleSaying('READY=1'), id], manager.address);
    await manager.hears('BARRIER=1');
    expect(manager.said).toEqual([`READY=1\nMAINPID=${child.pid}\n`, 'BARRIER=1']);
    child.kill('SIGKILL');
    await eventually(() => !existsSync(`/proc/${child.pid}/exe`));
  });

  test('and one that ends without a word keeps nobody waiting', () => {
    const manager = new Manager();
    const env = { ...process.env, NOTIFY_SOCKET: manager.address };
    const bundle = bundleOf((config) => {
      processOf(config).args = ['true'];
    });
    for (const flags of [[], ['--detach']])
      expect(scow(['run', ...flags, '-b', bundle, newId()], { engine, env })).toMatchObject({
        status: 0,
        stderr: '',
      });
  });

  test('needs somebody who listens', () => {
    const env = { ...process.env, NOTIFY_SOCKET: '@scow-test-nobody' };
    const bundle = bundleOf((config) => {
      processOf(config).args = ['true'];
    });
    expect(scow(['run', '-b', bundle, newId()], { engine, env })).toMatchObject({
      status: 1,
      stderr:
        'scow: cannot connect to @scow-test-nobody, which NOTIFY_SOCKET names: connection refused (ECONNREFUSED)\n',
    });
  });

  test('is told of no socket where nobody asked', () => {
    const { NOTIFY_SOCKET: _, ...env } = process.env;
    const bundle = bundleOf((config) => {
      processOf(config).args = ['sh', '-c', 'echo "<$NOTIFY_SOCKET>"; ls -d /run/notify'];
    });
    const { stdout } = scow(['run', '-b', bundle, newId()], { engine, env });
    expect(stdout).toBe('<>\n');
    expect(existsSync(join(bundle, 'rootfs/run'))).toBe(false);
  });
});
