/** Flags that crun has, or runc of late: who makes the cgroup, where the log goes, which configuration. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findHierarchy, unifiedPath } from '../../../runtime/cgroups/hierarchy.ts';
import { startTimeOf } from '../../../runtime/container/process.ts';
import { ContainerStore } from '../../../runtime/container/store.ts';
import {
  bundleOf,
  cleanUp,
  commandOf,
  ENGINES,
  newId,
  rootOf,
  running,
  scow,
  scowWords,
  stateOf,
  testDirectory,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

describe.each(ENGINES)('under %s', (engine) => {
  it('--cgroup-manager disabled leaves a container in its caller’s cgroup', () => {
    const id = newId();
    const bundle = bundleOf(running('sleep', '1000'));
    const flags = ['--cgroup-manager', 'disabled'];
    expect(scow([...flags, 'run', '-d', '--bundle', bundle, id], { engine })).toMatchObject({
      status: 0,
      stderr: '',
    });
    const { pid, cgroup } = stateOf(id);
    expect(cgroup).toBeNull();
    const pathOf = (one: number | string) =>
      unifiedPath(readFileSync(`/proc/${one}/cgroup`, 'latin1'));
    expect(pathOf(pid)).toBe(pathOf('self'));
    expect(existsSync(join(findHierarchy().mountPoint, pathOf('self'), '..', id))).toBe(false);
    expect(JSON.parse(scow(['ps', '-f', 'json', id], { engine }).stdout)).toEqual([pid]);
    expect(scow(['pause', id], { engine })).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^scow: cannot pause [^\n]* it has no cgroup of its own /),
    });
    expect(scow(['delete', '--force', id], { engine })).toMatchObject({ status: 0, stderr: '' });
    expect(startTimeOf(pid)).toBeUndefined();
  });

  it('--config names another file than config.json', () => {
    const bundle = bundleOf(running('echo', 'another'));
    renameSync(join(bundle, 'config.json'), join(testDirectory(), 'other.json'));
    for (const flag of ['--config', '-f']) {
      const args = ['run', flag, 'other.json', '--bundle', bundle, newId()];
      expect(scow(args, { engine, cwd: testDirectory() })).toMatchObject({
        status: 0,
        stdout: 'another\n',
        stderr: '',
      });
    }
    expect(scow(['run', '-f', 'none.json', '--bundle', bundle, newId()], { engine })).toMatchObject(
      { status: 1, stderr: expect.stringMatching(/^scow: \S+\/none\.json does not exist/) },
    );
  });

  it.each(['--pidfd-socket', 'run.oci.pidfd_receiver'])('%s gets a pidfd of init', (way) => {
    const receiver = `
import array, os, signal, socket, subprocess, sys
path = sys.argv[1]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(1)
subprocess.run(sys.argv[2:], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
data, ancillary, _, _ = listener.accept()[0].recvmsg(64, socket.CMSG_SPACE(4))
fd = array.array('i', ancillary[0][2])[0]
print(data.decode(), [l.split()[1] for l in open(f'/proc/self/fdinfo/{fd}') if l.startswith('Pid:')][0])
signal.pidfd_send_signal(fd, signal.SIGKILL)
`;
    const id = newId();
    const socket = join(testDirectory(), 'pidfd.sock');
    const command = scowWords(engine);
    const isFlag = way.startsWith('--');
    const bundle = bundleOf((config) => {
      running('sleep', '1000')(config);
      if (!isFlag) config.annotations = { [way]: socket };
    });
    const create = ['create', ...(isFlag ? [way, socket] : []), '--bundle', bundle, id];
    const { stdout, stderr } = spawnSync(
      'python3',
      ['-c', receiver, socket, ...command, ...create],
      {
        encoding: 'utf8',
      },
    );
    expect(stderr).toBe('');
    const { pid } = stateOf(id);
    expect(stdout).toBe(`standard ${pid}\n`);
    expect(
      scow(['run', ...(isFlag ? [way, socket] : []), '-b', bundle, newId()], { engine }),
    ).toMatchObject({
      status: 1,
      stderr: `scow: cannot send the pidfd to socket ${socket}: nobody listens on it\n`,
    });
  });

  it.each([
    ['journald:web', '/run/systemd/journal/socket'],
    ['syslog:web', '/dev/log'],
    ['syslog:', '/dev/log'],
  ])('--log %s sends errors there too', (log, socket) => {
    const receiver = `
import os, socket, subprocess, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
done = subprocess.run(sys.argv[2:])
print(done.returncode, listener.recv(4096).decode(), flush=True)
`;
    const directory = socket.replace(/\/[^/]*$/, '');
    const script = `mount -t tmpfs none ${directory.split('/', 2).join('/')} && mkdir -p ${directory} && exec "$@"`;
    const aside = ['--mount', '--propagation=private', 'sh', '-c', script, 'sh'];
    const failing = ['--log', log, 'state', 'nobody'];
    const { stdout, stderr } = spawnSync(
      'unshare',
      [...aside, 'python3', '-c', receiver, socket, ...scowWords(engine), ...failing],
      { encoding: 'utf8' },
    );
    const why = `container does not exist: there is no "nobody" in ${rootOf('scow')}`;
    expect(stderr).toBe(`scow: ${why}\n`);
    const name = log === 'syslog:' ? 'scow' : 'web';
    if (log.startsWith('syslog'))
      expect(stdout.replace(/\[\d+\]/, '[PID]')).toBe(`1 <11>${name}[PID]: ${why}\n`);
    else
      expect(stdout.replace(/PID=\d+/, 'PID=N')).toBe(
        `1 PRIORITY=3\nSYSLOG_IDENTIFIER=web\nSYSLOG_PID=N\nID=web\nMESSAGE=${why}\n\n`,
      );
  });
});

it('a log service that does not listen is an error', () => {
  const script = 'mount -t tmpfs none /run && exec "$@"';
  const { stderr } = spawnSync(
    'unshare',
    [
      ...['--mount', '--propagation=private', 'sh', '-c', script, 'sh'],
      ...[...commandOf('bun'), '--log', 'journald:web', 'list'],
    ],
    { encoding: 'utf8' },
  );
  expect(stderr).toBe(
    'scow: cannot log to journald at /run/systemd/journal/socket: no such file or directory (ENOENT)\n',
  );
});

it('--log file:FILE is --log FILE', () => {
  const log = join(testDirectory(), 'log');
  for (const value of [log, `file:${log}`]) scow(['--log', value, 'state', 'nobody']);
  expect(readFileSync(log, 'utf8').trimEnd().split('\n')).toHaveLength(2);
});

it.each([
  ['error', [], 0],
  ['warning', ['warning'], 0],
  ['info', ['warning'], 0],
  ['debug', ['warning'], 0],
  ['loud', ['error'], 1],
])('--log-level %s', (level, levels, status) => {
  const root = rootOf('scow');
  const store = new ContainerStore(root);
  store.create('empty').release();
  const args = ['--log-format', 'json', '--log-level', level, 'list'];
  const result = scow(args, { engine: 'bun' });
  expect(result.status).toBe(status);
  const told = result.stderr.split('\n').filter((line) => line.startsWith('{'));
  const known = told.map((line) => JSON.parse(line).level);
  if (status === 0) expect(known).toEqual(levels);
  else
    expect(result.stderr).toBe(
      'scow: --log-level loud: give one of error, warning, info, debug (see scow --help)\n',
    );
  store.remove('empty');
});

it('an unknown command ends with the status that engines know of runc', () => {
  for (const args of [['nonsense'], ['help', 'nonsense']])
    for (const engine of ENGINES)
      expect({ args, ...scow(args, { engine }) }).toMatchObject({ args, status: 3 });
});

it('a relative socket or PID file counts from the current folder', () => {
  const bundle = bundleOf(running('true'));
  const id = newId();
  expect(
    scow(['run', '-d', '--pid-file', 'pid', '--bundle', bundle, id], {
      engine: 'bun',
      cwd: testDirectory(),
    }),
  ).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(join(testDirectory(), 'pid'), 'utf8')).toMatch(/^\d+$/);
  writeFileSync(join(testDirectory(), 'socket'), '');
  expect(
    scow(['run', '--pidfd-socket', 'socket', '--bundle', bundle, newId()], {
      engine: 'bun',
      cwd: testDirectory(),
    }).stderr,
  ).toBe(`scow: cannot send the pidfd to socket ${testDirectory()}/socket: it is not a socket\n`);
});
