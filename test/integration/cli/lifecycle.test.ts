import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { startTimeOf } from '../../../runtime/container/process.ts';
import { ContainerStore } from '../../../runtime/container/store.ts';
import {
  bundleOf,
  cleanUp,
  ENGINES,
  type Engine,
  eventually,
  newId,
  rootOf,
  running,
  scow,
  startScow,
  stateOf,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

const SLEEP = running('sleep', '1000');

function statusOf(engine: Engine, id: string): string {
  const { status, stdout } = scow(['state', id], { engine });
  return status === 0 ? JSON.parse(stdout).status : 'none';
}

describe.each(ENGINES)('at the same time, under %s,', (engine) => {
  test('two creations with one ID: one of them fails and changes nothing', async () => {
    const bundle = bundleOf(SLEEP);
    const id = newId();
    const [one, two] = await Promise.all(
      [0, 1].map(() => startScow(['create', '--bundle', bundle, id], { engine }).ended),
    );
    expect([one?.status, two?.status].sort()).toEqual([0, 1]);
    expect(`${one?.stderr}${two?.stderr}`).toMatch(
      /^scow: container with ID "[^"]+" already exists in [^\n]+\n$/,
    );
    expect(statusOf(engine, id)).toBe('created');
  });

  test('two starts of one container: one of them fails', async () => {
    const id = newId();
    expect(scow(['create', '--bundle', bundleOf(SLEEP), id], { engine }).status).toBe(0);
    const [one, two] = await Promise.all(
      [0, 1].map(() => startScow(['start', id], { engine }).ended),
    );
    expect([one?.status, two?.status].sort()).toEqual([0, 1]);
    expect(statusOf(engine, id)).toBe('running');
  });

  test('creation and deletion by force: nothing stays, whoever was first', async () => {
    const bundle = bundleOf(SLEEP);
    for (const delay of engine === 'bun' ? [0, 5, 10, 15, 20, 30] : [100, 250]) {
      const id = newId();
      const creation = startScow(['create', '--bundle', bundle, id], { engine });
      await new Promise((resolve) => setTimeout(resolve, delay));
      const deletion = await startScow(['delete', '--force', id], { engine }).ended;
      expect(deletion).toEqual({ status: 0, stderr: '' });
      const { status, stderr } = await creation.ended;
      if (status !== 0) expect(stderr.trimEnd().split('\n')).toHaveLength(1);
      expect(scow(['delete', '--force', id], { engine }).status).toBe(0);
      expect(readdirSync(rootOf('scow'))).toEqual([]);
    }
  });
});

describe.each(ENGINES)('scow killed in the midst of creating, under %s,', (engine) => {
  const delays = engine === 'bun' ? [4, 6, 8, 10, 12, 14, 16, 20, 25] : [150, 200, 250, 300];

  test.each(delays)(
    'after %i ms: the state is true, and deletion removes everything',
    async (delay) => {
      const id = newId();
      const { child, ended } = startScow(['create', '--bundle', bundleOf(SLEEP), id], { engine });
      await new Promise((resolve) => setTimeout(resolve, delay));
      child.kill('SIGKILL');
      await ended;
      expect(['none', 'creating', 'stopped', 'created']).toContain(statusOf(engine, id));
      expect(scow(['delete', '--force', id], { engine })).toMatchObject({ status: 0, stderr: '' });
      expect(statusOf(engine, id)).toBe('none');
      // cleanUp fails where a cgroup or a mount is left.
    },
  );
});

describe.each(ENGINES)('under %s', (engine) => {
  test('a container that is paused can be killed and deleted, not started', () => {
    const id = newId();
    expect(scow(['run', '-d', '--bundle', bundleOf(SLEEP), id], { engine }).status).toBe(0);
    const { pid } = stateOf(id);
    expect(scow(['pause', id], { engine })).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(statusOf(engine, id)).toBe('paused');
    expect(scow(['start', id], { engine }).stderr).toBe(
      `scow: cannot start a container in the paused state: "${id}"\n`,
    );
    expect(scow(['delete', id], { engine }).status).toBe(1);
    expect(scow(['delete', '--force', id], { engine }).status).toBe(0);
    expect(startTimeOf(pid)).toBeUndefined();
  });

  test('a signal to all reaches every process of the container', async () => {
    const script =
      'trap "" TERM; (trap "echo child; exit" TERM; while :; do sleep 0.1; done) & wait';
    const id = newId();
    const { stdoutFile } = scow(
      ['run', '-d', '--bundle', bundleOf(running('sh', '-c', script)), id],
      {
        engine,
      },
    );
    await eventually(
      () => Cgroup.at(stateOf(id).cgroup ?? '').processes({ recursive: true }).length > 2,
    );
    expect(scow(['kill', '--all', id, 'TERM'], { engine })).toMatchObject({
      status: 0,
      stderr: '',
    });
    await eventually(() => readFileSync(stdoutFile, 'utf8') === 'child\n');
  });

  test.each([[false], [true]])(
    "what shares the host's PID namespace is killed to the last process; the first gone: %s",
    async (headless) => {
      const bundle = bundleOf((config) => {
        running('sh', '-c', 'sleep 1000 & sleep 1000 & exec sleep 1000')(config);
        if (config.linux?.namespaces)
          config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== 'pid');
      });
      const id = newId();
      expect(scow(['run', '-d', '--bundle', bundle, id], { engine }).status).toBe(0);
      const cgroup = Cgroup.at(stateOf(id).cgroup ?? '');
      await eventually(() => cgroup.processes({ recursive: true }).length === 3);
      if (headless) process.kill(JSON.parse(scow(['state', id], { engine }).stdout).pid, 'SIGKILL');
      if (headless) await eventually(() => cgroup.processes({ recursive: true }).length === 2);
      expect(scow(['kill', id, 'KILL'], { engine }).status).toBe(0);
      await eventually(() => !cgroup.populated());
      expect(scow(['kill', id, 'KILL'], { engine }).status).toBe(1);
      expect(scow(['delete', id], { engine })).toMatchObject({ status: 0, stderr: '' });
      expect(existsSync(cgroup.path)).toBe(false);
    },
  );

  test('one damaged state does not hide the other containers', () => {
    const id = newId();
    expect(scow(['create', '--bundle', bundleOf(SLEEP), id], { engine }).status).toBe(0);
    const store = new ContainerStore(rootOf('scow'));
    store.create('empty').release();
    const { status, stdout, stderr } = scow(['list', '-q'], { engine });
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${id}\n` });
    expect(stderr).toMatch(/^scow: warning: container "empty" is left out: [^\n]+\n$/);
    expect(scow(['delete', '-f', 'empty'], { engine }).status).toBe(0);
  });

  test('spec writes what create takes, and never over a file', () => {
    const bundle = bundleOf(SLEEP);
    const config = join(bundle, 'config.json');
    const before = readFileSync(config, 'utf8');
    expect(scow(['spec', '-b', bundle], { engine })).toMatchObject({
      status: 1,
      stderr: `scow: ${config} exists: remove it first\n`,
    });
    expect(readFileSync(config, 'utf8')).toBe(before);
  });
});
