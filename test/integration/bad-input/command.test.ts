/** Commands that cannot be done: one line each, and nothing has changed. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { findHierarchy } from '../../../runtime/cgroups/hierarchy.ts';
import { traces } from '../../helpers/left-behind.ts';
import { TerminalReceiver } from '../../helpers/recvtty.ts';
import {
  bundleOf,
  cleanUp,
  eventually,
  newId,
  rootOf,
  running,
  scow,
  testDirectory,
} from '../../helpers/scow.ts';
import { ENGINES, failureOf, lineOf, whole } from './failing.ts';

afterEach(cleanUp);

const withTerminal = whole(({ process }) => {
  process.terminal = true;
});

/** A directory of the test's, under another name each time. */
let places = 0;
const place = () => join(testDirectory(), `place-${places++}`);

describe.each(ENGINES)('create (%s)', (engine) => {
  test.each([
    ['/none/socket', 'no such file: its owner must make it and listen'],
    ['/etc/passwd', 'it is not a socket'],
    ['/etc', 'it is not a socket'],
  ])('with the console socket %s', (socket, why) => {
    const flags = ['--console-socket', socket];
    expect(failureOf(bundleOf(withTerminal), { engine, flags })).toContain(
      `cannot send the terminal to console socket ${socket}: ${why}`,
    );
  });

  test('with a console socket on which nobody listens any more', () => {
    const receiver = new TerminalReceiver(place());
    receiver.close({ keepFile: true });
    const flags = ['--console-socket', receiver.path];
    expect(failureOf(bundleOf(withTerminal), { engine, flags })).toMatch(
      /^cannot send the terminal to console socket .*listen/,
    );
  });

  test('with a console socket but no terminal', () => {
    const flags = ['--console-socket', '/none'];
    expect(failureOf(bundleOf(), { engine, flags })).toBe(
      '--console-socket is given, but the process has no terminal  [/process/terminal]',
    );
  });

  test('with a PID file that cannot be written', () => {
    const bundle = bundleOf();
    expect(failureOf(bundle, { engine, flags: ['--pid-file', '/none/pid'] })).toBe(
      'cannot write the PID file /none/pid: no such file or directory (ENOENT)',
    );
    const directory = place();
    mkdirSync(directory);
    expect(failureOf(bundle, { engine, flags: ['--pid-file', directory] })).toBe(
      `cannot write the PID file ${directory}: is a directory (EISDIR)`,
    );
    expect(readdirSync(testDirectory()).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test.each(['-1', 'x', '1.5', '100000'])('with %s descriptors to preserve', (count) => {
    const flags = ['--preserve-fds', count];
    expect(failureOf(bundleOf(), { engine, flags })).toMatch(
      new RegExp(
        `^--preserve-fds.* ${count}(: give a number from 0 up| descriptors; give at most 900)$`,
      ),
    );
  });

  /** As in runc: what the caller did not open is not there; least of all is it scow's own. */
  test('with descriptors to preserve that are not open', () => {
    const bundle = bundleOf(running('ls', '/proc/self/fd'));
    for (const count of ['1', '3', '30']) {
      const { status, stdout } = scow(['run', '--preserve-fds', count, '-b', bundle, newId()], {
        engine,
      });
      // 3 is the directory that ls reads.
      expect({ status, stdout }).toEqual({ status: 0, stdout: '0\n1\n2\n3\n' });
    }
  });

  test('of an ID that is taken', () => {
    const bundle = bundleOf(running('sleep', '1000'));
    const id = newId();
    expect(scow(['create', '-b', bundle, id], { engine })).toMatchObject({ status: 0 });
    const before = traces(id, bundle);
    for (const command of ['create', 'run'])
      expect(lineOf(scow([command, '-b', bundle, id], { engine }))).toBe(
        `container with ID "${id}" already exists in ${rootOf('scow')}: choose another ID or delete it`,
      );
    expect(traces(id, bundle)).toEqual(before);
    expect(JSON.parse(scow(['state', id], { engine }).stdout)).toMatchObject({ status: 'created' });
  });

  test.each([
    ['', 'invalid container ID: it is empty'],
    ['a/b', 'invalid container ID "a/b": use letters, digits and the characters _ + , - .'],
    ['x'.repeat(256), 'invalid container ID: it has 256 characters, 255 are allowed'],
  ])('of the ID %j', (id, line) => {
    expect(lineOf(scow(['create', '-b', bundleOf(), id], { engine }))).toBe(line);
    for (const command of ['start', 'state', 'kill', 'delete'])
      expect(lineOf(scow([command, id], { engine }))).toBe(line);
  });

  test('in a root that is no directory', () => {
    const file = place();
    writeFileSync(file, '');
    for (const root of [file, join(file, 'below'), '/proc/none'])
      expect(failureOf(bundleOf(), { engine, root })).toMatch(
        new RegExp(`^cannot make ${root}, the place of all containers' state: .*; --root names`),
      );
  });

  test('in a cgroup with processes', async () => {
    const path = `/${newId()}`;
    const cgroup = Cgroup.at(join(findHierarchy().mountPoint, path));
    mkdirSync(cgroup.path);
    const process = spawn('sleep', ['1000'], { stdio: 'ignore' });
    try {
      cgroup.addProcess(process.pid as number);
      const bundle = bundleOf(
        whole(({ linux }) => {
          linux.cgroupsPath = path;
        }),
      );
      expect(failureOf(bundle, { engine })).toBe(
        `container's cgroup is not empty: 1 process(es) are in ${cgroup.path} (PID ${process.pid}); stop them, or choose another linux.cgroupsPath or container ID`,
      );
      expect(cgroup.processes({ recursive: false })).toEqual([process.pid]);
    } finally {
      process.kill('SIGKILL');
      await eventually(() => !cgroup.populated());
      rmdirSync(cgroup.path);
    }
  });
});

/** A place for the state that takes so much and no more. */
function withFullDisk(limit: string, use: (root: string) => void): void {
  const root = place();
  mkdirSync(root);
  spawnSync('mount', ['-t', 'tmpfs', '-o', limit, 'tmpfs', root]);
  try {
    use(root);
  } finally {
    spawnSync('umount', [root]);
  }
}

describe('a disk too full for the state', () => {
  test.each([
    'size=4k',
    'size=8k',
    'nr_inodes=1',
    'nr_inodes=2',
    'nr_inodes=3',
    'nr_inodes=4',
    'nr_inodes=5',
  ])('with %s', (limit) => {
    withFullDisk(limit, (root) => {
      const bundle = bundleOf();
      for (const engine of ENGINES)
        expect(failureOf(bundle, { engine, root })).toMatch(
          new RegExp(
            `^cannot keep the container's state in ${root}/.*: no space left on device \\(ENOSPC\\); --root names another place$`,
          ),
        );
    });
  });
});

describe.each(ENGINES)('a container in the wrong state (%s)', (engine) => {
  const call = (...args: string[]) => scow(args, { engine });

  test('is not started, killed or deleted', async () => {
    const id = newId();
    const bundle = bundleOf(running('sleep', '1000'));
    const none = `container does not exist: there is no "${id}" in ${rootOf('scow')}`;
    for (const command of ['start', 'kill', 'delete', 'state'])
      expect(lineOf(call(command, id))).toBe(none);
    expect(call('delete', '--force', id)).toMatchObject({ status: 0, stderr: '' });
    call('run', '--detach', '-b', bundle, id);
    expect(lineOf(call('start', id))).toBe(`cannot start an already running container: "${id}"`);
    expect(lineOf(call('delete', id))).toBe(
      `cannot delete container ${id} that is not stopped: running (delete --force kills it first)`,
    );
    expect(lineOf(call('kill', id, 'NONE'))).toMatch(
      /^unknown signal "NONE": give a name such as /,
    );
    call('kill', id, 'KILL');
    await eventually(() => call('state', id).stdout.includes('"stopped"'));
    expect(lineOf(call('start', id))).toBe(`cannot start a container that has stopped: "${id}"`);
    expect(lineOf(call('kill', id))).toBe(`container not running: "${id}"`);
    expect(call('delete', id)).toMatchObject({ status: 0, stderr: '' });
    expect(lineOf(call('delete', id))).toBe(none);
  });
});
