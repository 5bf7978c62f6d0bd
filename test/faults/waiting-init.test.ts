/** Init is killed or stopped while it waits, or while it is made. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { traces } from '../helpers/left-behind.ts';
import {
  bundleOf,
  cleanUp,
  ENGINES,
  eventually,
  newId,
  rootOf,
  running,
  scow,
  scowWords,
  startCommand,
  startScow,
  testDirectory,
} from '../helpers/scow.ts';
import { strace } from './strace.ts';

afterEach(cleanUp);

const SLEEP = running('sleep', '1000');
const FOLLOW = ['-f', '-o', '/dev/null'];

describe.each(ENGINES)('init that waits for its start (%s)', (engine) => {
  const call = (...args: string[]) => scow(args, { engine });
  const created = () => {
    const id = newId();
    expect(call('create', '-b', bundleOf(SLEEP), id)).toMatchObject({ status: 0, stderr: '' });
    return { id, pid: JSON.parse(call('state', id).stdout).pid as number };
  };
  const status = (id: string) => JSON.parse(call('state', id).stdout).status;

  test('is killed: the container has stopped', async () => {
    const { id, pid } = created();
    process.kill(pid, 'SIGKILL');
    await eventually(() => status(id) === 'stopped');
    expect(call('start', id)).toMatchObject({
      status: 1,
      stderr: `scow: cannot start a container that has stopped: "${id}"\n`,
    });
    expect(call('delete', id)).toMatchObject({ status: 0, stderr: '' });
  });

  test('is stopped: the start waits, and deletion by force ends it', async () => {
    const { id, pid } = created();
    process.kill(pid, 'SIGSTOP');
    await eventually(() => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'latin1')));
    expect(status(id)).toBe('created');
    const { child, ended } = startScow(['start', id], { engine });
    await eventually(() => waitsInPoll(child));
    expect(call('delete', '--force', id)).toMatchObject({ status: 0, stderr: '' });
    expect(await ended).toMatchObject({ status: 1 });
    expect(existsSync(join(rootOf('scow'), id))).toBe(false);
  });

  test('is stopped and goes on: the container runs', async () => {
    const { id, pid } = created();
    process.kill(pid, 'SIGSTOP');
    const { child, ended } = startScow(['start', id], { engine });
    await eventually(() => waitsInPoll(child));
    process.kill(pid, 'SIGCONT');
    expect(await ended).toEqual({ status: 0, stderr: '' });
    expect(status(id)).toBe('running');
  });
});

test('init that is stopped while it is made: deletion by force ends the creation', async () => {
  const bundle = bundleOf(SLEEP);
  const id = newId();
  const before = traces(id, bundle);
  const inject = ['-e', 'trace=pivot_root', '-e', 'inject=pivot_root:signal=STOP:when=1'];
  const words = ['strace', ...FOLLOW, ...inject, ...scowWords('bun'), 'create', '-b', bundle, id];
  const { ended } = startCommand(words);
  const state = () => scow(['state', id], { engine: 'bun' });
  await eventually(() => state().status === 0 && JSON.parse(state().stdout).pid > 0);
  const { status, pid } = JSON.parse(state().stdout);
  expect(status).toBe('creating');
  await eventually(() => /^State:\s+[tT]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1')));
  expect(scow(['delete', '--force', id], { engine: 'bun' })).toMatchObject({
    status: 0,
    stderr: '',
  });
  const { stderr } = await ended;
  expect(stderr).toMatch(
    /^scow: init was killed by SIGKILL while it was to enter the root [^\n]+\n$/,
  );
  expect(traces(id, bundle)).toEqual(before);
});

test('init that is killed as the last thing before it is left alone: no PID file stays', () => {
  const bundle = bundleOf(SLEEP);
  const id = newId();
  const before = traces(id, bundle);
  const pidFile = join(testDirectory(), 'pid');
  const kill = ['-e', 'trace=recvfrom,sendmsg', '-e', 'inject=recvfrom:signal=KILL:when=2'];
  // scow's answer must not be there before init is dead.
  const inject = [...kill, '-e', 'inject=sendmsg:delay_enter=300000'];
  const { status, stderr } = strace(
    [...FOLLOW, ...inject],
    ['create', '--pid-file', pidFile, '-b', bundle, id],
    'bun',
  );
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: 'scow: init was killed by SIGKILL while it was to wait for scow start\n',
  });
  expect(traces(id, bundle)).toEqual(before);
  expect(existsSync(pidFile)).toBe(false);
});

/** Whether its main thread waits in poll(2), which an engine itself never calls. */
function waitsInPoll({ pid }: ChildProcess): boolean {
  return /^(7|271) /.test(readFileSync(`/proc/${pid}/syscall`, 'latin1'));
}
