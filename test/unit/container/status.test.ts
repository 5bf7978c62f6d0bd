import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { findHierarchy, ownCgroup } from '../../../runtime/cgroups/hierarchy.ts';
import { deleteContainer, forceDeleteContainer } from '../../../runtime/container/delete.ts';
import { killAll, killContainer } from '../../../runtime/container/kill.ts';
import {
  isAlive,
  signalProcess,
  startTimeOf,
  thisProcess,
  waitForExit,
} from '../../../runtime/container/process.ts';
import { startContainer } from '../../../runtime/container/start.ts';
import {
  type ContainerState,
  initOf,
  PROGRESS,
  statusOf,
  timestamp,
} from '../../../runtime/container/state.ts';
import { ContainerStore } from '../../../runtime/container/store.ts';
import { cleanUp, eventually, newId, testDirectory } from '../../helpers/scow.ts';
import { endStandIns, standIn } from '../../helpers/stand-in.ts';

const NOBODY = { pid: 0, startTime: '0' };
/** A process that had this test's PID before it. */
const IMPOSTOR = { pid: process.pid, startTime: '1' };

let store: ContainerStore;
beforeEach(() => {
  store = new ContainerStore(join(testDirectory(), 'state'));
});
afterEach(() => {
  endStandIns();
  cleanUp();
});

function statusNow(id: string) {
  return statusOf(store.read(id), store.directory(id));
}

describe('a process', () => {
  test('has the start time that ps derives its own from', () => {
    const { stdout } = spawnSync('awk', ['{ print $22 }', `/proc/${process.pid}/stat`]);
    expect(startTimeOf(process.pid)).toBe(stdout.toString().trim());
  });

  test('is known even when its name looks like the end of its name', () => {
    const program = join(testDirectory(), 'a) S 1 (b');
    spawnSync('cp', ['/bin/sleep', program]);
    const script = '"$0" 1000 >&2 & awk "{ print \\$NF }" /proc/$!/stat >/dev/null; echo $!';
    const pid = Number(
      spawnSync('bash', ['-c', script, program], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).stdout,
    );
    const startTime = startTimeOf(pid);
    expect(startTime).toMatch(/^\d{2,}$/);
    expect(signalProcess({ pid, startTime: startTime ?? '' }, 9)).toBe(true);
    expect(waitForExit({ pid, startTime: startTime ?? '' }, 5000)).toBe(true);
  });

  test('is dead when another has its PID, and that one gets no signal', () => {
    expect(isAlive(thisProcess())).toBe(true);
    expect(isAlive(IMPOSTOR)).toBe(false);
    expect(signalProcess(IMPOSTOR, 9)).toBe(false);
    expect(waitForExit(IMPOSTOR, Infinity)).toBe(true);
    expect(waitForExit(thisProcess(), 20)).toBe(false);
  });
});

describe('the status of a container', () => {
  test('goes from created to running to stopped', async () => {
    const state = await standIn(store, 'one');
    expect(statusNow('one')).toBe('created');
    expect(statusNow('one')).toBe('created');
    await startContainer(store, 'one');
    expect(statusNow('one')).toBe('running');
    killContainer(store, 'one', 9);
    expect(waitForExit(initOf(state), 5000)).toBe(true);
    expect(statusNow('one')).toBe('stopped');
  });

  const cases: readonly [string, Partial<ContainerState>, string][] = [
    ['scow is creating it', { launchedBy: thisProcess(), ...NOBODY }, 'creating'],
    ['its init is not ready', { launchedBy: thisProcess() }, 'creating'],
    ['scow died, and init is about to', { launchedBy: IMPOSTOR }, 'creating'],
    ['scow died before init was launched', { launchedBy: IMPOSTOR, ...NOBODY }, 'stopped'],
    ['the PID has another process now', { startTime: '1' }, 'stopped'],
  ];
  test.each(cases)('when %s', async (_when, changes, status) => {
    await standIn(store, 'one', changes);
    expect(statusNow('one')).toBe(status);
    await expect(startContainer(store, 'one')).rejects.toThrow(/^cannot start a container /);
  });

  test('is paused while its cgroup is frozen, and not to be started then', async () => {
    const hierarchy = findHierarchy();
    const path = join(hierarchy.mountPoint, ownCgroup(hierarchy), newId());
    mkdirSync(path);
    const cgroup = Cgroup.at(path);
    const { pid } = await standIn(store, 'one', { cgroup: path });
    cgroup.addProcess(pid);
    cgroup.freeze();
    expect(statusNow('one')).toBe('paused');
    await expect(startContainer(store, 'one')).rejects.toThrow(
      'cannot start a container in the paused state: "one"',
    );
    await expect(deleteContainer(store, 'one')).rejects.toThrow(
      'cannot delete container one that is not stopped: paused',
    );
    cgroup.thaw();
    expect(statusNow('one')).toBe('created');
    cgroup.freeze();
    await forceDeleteContainer(store, 'one');
    expect(cgroup.exists()).toBe(false);
    expect(store.list()).toEqual([]);
  });
});

describe('start', () => {
  test('tells what the page says that init came to', async () => {
    await standIn(store, 'one');
    const page = Buffer.alloc(4096);
    page.writeUInt32LE(77, 0);
    page.writeInt32LE(13, 4);
    writeFileSync(join(store.directory('one'), PROGRESS), page);
    await expect(startContainer(store, 'one')).rejects.toThrow(/permission denied \(EACCES\)/);
  });

  test('of a container whose init dies while it waits', async () => {
    const { pid } = await standIn(store, 'one');
    process.kill(pid, 'SIGSTOP');
    spawnSync('sh', ['-c', `(sleep 0.2; kill -9 ${pid}) >/dev/null 2>&1 &`]);
    await expect(startContainer(store, 'one')).rejects.toThrow(
      'cannot start container "one": its init was killed before it executed "sh"',
    );
    // A process that is killed closes its files before it is dead.
    await eventually(() => statusNow('one') === 'stopped');
  });
});

describe('kill', () => {
  test('does not reach a process that took the PID of a stopped container', async () => {
    const { pid } = await standIn(store, 'one', { startTime: '1' });
    expect(() => killContainer(store, 'one', 9)).toThrow('container not running: "one"');
    killAll(store, 'one', 9);
    await forceDeleteContainer(store, 'one');
    expect(startTimeOf(pid)).toBeDefined();
  });

  test('tells that the kernel knows no such signal', async () => {
    await standIn(store, 'one');
    await startContainer(store, 'one');
    expect(() => killContainer(store, 'one', 65)).toThrow(
      /^cannot send signal 65 to process \d+ of container "one": invalid argument \(EINVAL\)$/,
    );
  });
});

describe('delete', () => {
  test('ends a container that was never started', async () => {
    const { pid } = await standIn(store, 'one');
    await deleteContainer(store, 'one');
    expect(startTimeOf(pid)).toBeUndefined();
    expect(store.list()).toEqual([]);
  });

  test('leaves alone what another scow is creating', async () => {
    await standIn(store, 'one', { launchedBy: thisProcess() });
    const lock = store.lock('one');
    await expect(deleteContainer(store, 'one')).rejects.toThrow(
      'cannot delete container one that is not stopped: creating',
    );
    lock.release();
    expect(store.list()).toEqual(['one']);
  });

  test('removes what a creation left that never came to write its state', async () => {
    store.create('one').release();
    writeFileSync(join(store.directory('one'), 'state.json.new'), '{');
    await expect(deleteContainer(store, 'one')).rejects.toThrow('container does not exist');
    expect(store.list()).toEqual([]);
    store.create('two').release();
    await forceDeleteContainer(store, 'two');
    expect(store.list()).toEqual([]);
    await forceDeleteContainer(store, 'three');
  });
});

test('times are as runc prints them', () => {
  for (let i = 0; i < 50; i++) {
    const before = Date.now();
    const time = timestamp();
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z$/);
    expect(Date.parse(time)).toBeGreaterThanOrEqual(before - 1000);
    expect(Date.parse(time)).toBeLessThanOrEqual(Date.now() + 1000);
  }
});
