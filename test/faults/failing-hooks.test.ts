/** What a hook that fails does to the container at each point (runtime.md, Lifecycle). */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Hook } from '../../schemas/runtime-config.ts';
import { traces } from '../helpers/left-behind.ts';
import {
  cleanUp,
  ENGINES,
  eventually,
  newId,
  rootOf,
  running,
  scow,
  startScow,
} from '../helpers/scow.ts';
import {
  FAILING,
  type HookName,
  hooked,
  notes,
  order,
  seen,
  stateOf,
  witness,
} from '../integration/hooks/support.ts';

afterEach(cleanUp);

const WAITING = running('sleep', '1000');
/** Where a hook finds the notes. */
const inside = (name: HookName) => (name === 'startContainer' ? '/notes' : notes());

const SLOW: Hook = { path: '/bin/sleep', args: ['sleep', '1000'] };

describe.each(ENGINES)('a hook that fails (%s)', (engine) => {
  /** One that init runs and one that scow does; the quick engine runs more. */
  const oneOfEach: readonly HookName[] =
    engine === 'node'
      ? ['createContainer', 'poststart']
      : ['prestart', 'createContainer', 'startContainer', 'poststart'];
  const at = (name: HookName, hook: Hook) =>
    hooked(
      { [name]: [witness(name), hook, witness(name)], poststop: [witness('poststop')] },
      WAITING,
    );

  test.each(['prestart', 'createRuntime', 'createContainer'] as const)(
    'in %s: nothing is created, and the poststop hooks run',
    (name) => {
      const id = newId();
      const bundle = at(name, FAILING);
      const before = traces(id, bundle);
      const pidFile = join(notes(), 'pid');
      const result = scow(['create', '--pid-file', pidFile, '-b', bundle, id], { engine });
      expect(result).toMatchObject({
        status: 1,
        stdout: '',
        stderr: `scow: error running ${name} hook #1: /bin/sh ended with status 7: "first\\nno such wish"  [/hooks/${name}/1]\n`,
      });
      expect(order()).toEqual([name, 'poststop']);
      expect(stateOf('poststop')).toMatchObject({ id, status: 'stopped' });
      expect(traces(id, bundle)).toEqual(before);
      expect(existsSync(pidFile)).toBe(false);
    },
  );

  test.each(['startContainer', 'poststart'] as const)(
    'in %s: the container is killed and deleted',
    (name) => {
      for (const commands of [['create', 'start'], ['run'], ['run --detach']]) {
        spawnSync('rm', ['-f', join(notes(), 'order')]);
        const id = newId();
        const bundle = at(name, FAILING);
        const before = traces(id, bundle);
        const results = commands.map((command) => {
          const target = command === 'start' ? [id] : ['-b', bundle, id];
          return scow([...command.split(' '), ...target], { engine });
        });
        for (const { status } of results.slice(0, -1)) expect(status).toBe(0);
        expect(results.at(-1)).toMatchObject({
          status: 1,
          stderr: expect.stringMatching(
            /^scow: error running \w+ hook #1: \/bin\/sh ended with status 7: .*no such wish.*\n$/,
          ),
        });
        expect(order()).toEqual([name, 'poststop']);
        expect(traces(id, bundle)).toEqual(before);
      }
    },
  );

  test.each([[[]], [['--force']]])(
    'in poststop of delete %j: a warning, and the others run',
    (flags) => {
      const id = newId();
      const bundle = at('poststop', FAILING);
      const hooks = { poststop: [witness('poststop'), FAILING, witness('poststop')] };
      const other = hooked(hooks, flags.length > 0 ? WAITING : running('true'));
      const before = traces(id, other);
      expect(bundle).not.toBe(other);
      expect(scow(['create', '-b', other, id], { engine }).status).toBe(0);
      expect(scow(['start', id], { engine }).status).toBe(0);
      if (flags.length === 0)
        while (JSON.parse(scow(['state', id], { engine }).stdout).status !== 'stopped');
      expect(scow(['delete', ...flags, id], { engine })).toMatchObject({
        status: 0,
        stdout: '',
        stderr: expect.stringMatching(
          /^scow: warning: error running poststop hook #1: \/bin\/sh ended with status 7: .*\n$/,
        ),
      });
      expect(order()).toEqual(['poststop', 'poststop']);
      expect(traces(id, other)).toEqual(before);
    },
  );

  test('for it takes too long: it is killed with its children', async () => {
    for (const name of oneOfEach) {
      const id = newId();
      const script = `sleep 1000 & echo $! > ${inside(name)}/child; echo half-way; wait`;
      const hook = { path: '/bin/sh', args: ['sh', '-c', script], timeout: 1 };
      const { status, stderr } = scow(['run', '-b', at(name, hook), id], { engine });
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: `scow: error running ${name} hook #1: /bin/sh was killed, for it took longer than its timeout of 1 s: "half-way"  [/hooks/${name}/1/timeout]\n`,
      });
      // The numbers of the others are those of their PID namespace, which is gone.
      if (name === 'createContainer' || name === 'startContainer') continue;
      const child = readFileSync(join(notes(), 'child'), 'utf8').trim();
      await eventually(() => !existsSync(`/proc/${child}/exe`));
    }
  });

  test('for it is not there, is no program, or is killed', () => {
    const bundle = (hook: Hook, name: HookName) => hooked({ [name]: [hook] });
    for (const name of oneOfEach)
      for (const [hook, why] of [
        [
          { path: '/no/such hook' },
          /^cannot execute \/no\/such hook \(execve\): .*\(ENOENT\): it.* is not (in the container|on the host), .* {2}\[\/hooks\/\w+\/0\/path\]$/,
        ],
        [
          { path: '/etc/passwd' },
          /^cannot execute \/etc\/passwd \(execve\): .*\(EACCES\): it is no file that may be executed there {2}\[\/hooks\/\w+\/0\/path\]$/,
        ],
        [
          { path: '/bin/sh', args: ['sh', '-c', 'kill -9 $$'] },
          /^\/bin\/sh was killed by SIGKILL {2}\[\/hooks\/\w+\/0\]$/,
        ],
      ] as const) {
        const { status, stderr } = scow(['run', '-b', bundle(hook, name), newId()], { engine });
        const beginning = `scow: error running ${name} hook #0: `;
        expect({ status, beginning: stderr.slice(0, beginning.length) }).toEqual({
          status: 1,
          beginning,
        });
        expect(stderr.slice(beginning.length, -1)).toMatch(why);
      }
  });

  test('is none in poststop for a bundle that is gone by then', () => {
    const id = newId();
    const bundle = hooked({ poststop: [witness('poststop')] });
    const { status } = scow(['run', '--keep', '-b', bundle, id], { engine });
    renameSync(bundle, `${bundle}-moved`);
    const { stderr } = scow(['delete', id], { engine });
    expect({ status, stderr, cwd: seen('poststop').get('cwd') }).toEqual({
      status: 0,
      stderr: '',
      cwd: '/',
    });
  });

  test('neither waits for what a hook leaves behind, nor for one that reads nothing', () => {
    const file = join(notes(), 'daemon');
    const script = `setsid sleep 1000 & echo $! > ${file}; exec <&-`;
    const annotations = { large: 'x'.repeat(300_000) };
    const bundle = hooked(
      { prestart: [{ path: '/bin/sh', args: ['sh', '-c', script] }] },
      (config) => {
        config.annotations = annotations;
      },
    );
    expect(scow(['run', '-b', bundle, newId()], { engine })).toMatchObject({
      status: 0,
      stderr: '',
    });
    const pid = Number(readFileSync(file, 'utf8'));
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    process.kill(pid, 'SIGKILL');
  });

  test.each(['prestart', 'createContainer', 'startContainer', 'poststart', 'poststop'] as const)(
    'with scow in %s: the state is true, and the rest can be deleted',
    async (name) => {
      const id = newId();
      const hook = {
        path: '/bin/sh',
        args: ['sh', '-c', `cat >${inside(name)}/begun; exec sleep 1000`],
      };
      const bundle = hooked({ [name]: [hook] }, name === 'poststop' ? running('true') : WAITING);
      const before = traces(id, bundle);
      const { child } = startScow(['run', '-b', bundle, id], { engine, stdio: 'ignore' });
      const begun = join(notes(), 'begun');
      await eventually(() => existsSync(begun) && readFileSync(begun, 'utf8').includes('}'));
      const status = () => JSON.parse(scow(['state', id], { engine: 'bun' }).stdout).status;
      const now = {
        prestart: 'creating',
        createContainer: 'creating',
        startContainer: 'created',
        poststart: 'running',
        poststop: 'stopped',
      };
      expect(status()).toBe(now[name]);
      child.kill('SIGKILL');
      await eventually(() => status() === 'stopped');
      const again = hooked({}, () => {});
      expect(again).not.toBe(bundle);
      const config = join(rootOf('scow'), id, 'state.json');
      // The hook would hang again.
      const state = JSON.parse(readFileSync(config, 'utf8'));
      spawnSync('sh', ['-c', 'cat > "$0"', config], {
        input: JSON.stringify({ ...state, hooks: {} }),
      });
      expect(scow(['delete', '--force', id], { engine })).toMatchObject({ status: 0, stderr: '' });
      expect(traces(id, bundle)).toEqual(before);
    },
  );

  test.each(['prestart', 'createContainer', 'startContainer', 'poststart'] as const)(
    'hanging in %s keeps nobody from deleting the container by force',
    async (name) => {
      const id = newId();
      const bundle = hooked({ [name]: [witness(name), SLOW] }, WAITING);
      const before = traces(id, bundle);
      const { child } = startScow(['run', '--detach', '-b', bundle, id], {
        engine,
        stdio: 'ignore',
      });
      await eventually(() => order().length > 0);
      expect(scow(['delete', '--force', id], { engine })).toMatchObject({ status: 0, stderr: '' });
      if (name === 'poststart') child.kill('SIGKILL');
      await eventually(() => child.exitCode !== null || child.signalCode !== null);
      expect(child.exitCode).toBe(name === 'poststart' ? null : 1);
      expect(traces(id, bundle)).toEqual(before);
    },
  );
});

test('hooks that the specification forbids are refused before anything is made', () => {
  for (const [hook, pointer] of [
    [{ path: 'bin/true' }, '/hooks/createRuntime/0/path'],
    [{ path: '/bin/true', timeout: 0 }, '/hooks/createRuntime/0/timeout'],
    [{ path: '/bin/true', timeout: -1 }, '/hooks/createRuntime/0/timeout'],
    [{ path: '/bin/true', timeout: 1.5 }, '/hooks/createRuntime/0/timeout'],
    [{ path: '/bin/true', args: ['a\0b'] }, '/hooks/createRuntime/0/args/0'],
    [{ path: '/bin/true', env: [1] }, '/hooks/createRuntime/0/env/0'],
    [{ args: ['true'] }, '/hooks/createRuntime/0'],
  ] as const) {
    const { status, stderr } = scow(
      [
        'create',
        '-b',
        hooked({ createRuntime: [hook as Hook], poststop: [witness('poststop')] }),
        newId(),
      ],
      { engine: 'bun' },
    );
    expect(status).toBe(1);
    expect(stderr).toContain(pointer);
    expect(order()).toEqual([]);
  }
});
