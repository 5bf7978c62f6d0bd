/** Where systemd is not as it should be. What it does when it is: test/vm/systemd. */

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SystemdManager } from '../../../runtime/cgroups/systemd/manager.ts';
import { ContainerStore } from '../../../runtime/container/store.ts';
import { type Behaviour, FakeSystemd } from '../../helpers/fake-systemd.ts';
import { directoryOf, type OrdinaryUser, scowAs } from '../../helpers/ordinary-user.ts';
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
  scowWords,
  startScow,
  stateOf,
} from '../../helpers/scow.ts';

let systemd: FakeSystemd | undefined;
const { env } = process;
afterEach(() => {
  systemd?.stop();
  systemd = undefined;
  process.env = env;
  cleanUp();
});

/** Where no systemd runs, whatever the machine has. */
const WITHOUT = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs run /run && exec "$@"', 'sh'];

function run(engine: Engine, address?: string, cgroupsPath = '') {
  const bundle = bundleOf((config) => {
    running('true')(config);
    if (config.linux) config.linux.cgroupsPath = cgroupsPath;
  });
  const words = [...scowWords(engine), '--systemd-cgroup'];
  const [command = '', ...args] = [...WITHOUT, ...words, 'run', '--bundle', bundle, newId()];
  const { status, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...env, ...(address === undefined ? {} : { DBUS_SYSTEM_BUS_ADDRESS: address }) },
  });
  return { status, stderr, left: containers() };
}

/** Names in the directory of all containers' state, if there is one. */
function containers(): string[] {
  const root = rootOf('scow');
  return existsSync(root) ? readdirSync(root).filter((name) => !name.startsWith('@')) : [];
}

const nowhere =
  '/run/systemd/private: no such file or directory (ENOENT); ' +
  '/run/dbus/system_bus_socket: no such file or directory (ENOENT): leave --systemd-cgroup out to use cgroupfs';

test.each(ENGINES)('without systemd it is told where it was looked for, under %s', (engine) => {
  expect(run(engine)).toMatchObject({
    status: 1,
    stderr: `scow: cannot reach systemd: ${nowhere}\n`,
    left: [],
  });
});

test.each<[Behaviour, string]>([
  ['closes', `cannot reach systemd: SOCKET: it closed the connection; ${nowhere}`],
  ['rejects', `cannot reach systemd: SOCKET: it refuses this user: REJECTED EXTERNAL; ${nowhere}`],
  [
    'is old',
    'systemd here is version 243: --systemd-cgroup needs 244 or newer; leave it out to use cgroupfs',
  ],
  [
    'refuses',
    'systemd did not make the unit UNIT: Permission denied: neither is this user root, nor does polkit allow it',
  ],
  [
    'has the unit',
    'systemd did not make the unit UNIT: there is one of this name: choose another linux.cgroupsPath or container ID  [/linux/cgroupsPath]',
  ],
  ['fails', 'systemd did not make the unit UNIT: its job ended with «failed»'],
])('one that %s is told, and nothing is left', async (behaviour, expected) => {
  systemd = await FakeSystemd.start(behaviour);
  for (const engine of ENGINES) {
    const { status, stderr, left } = run(engine, systemd.address, 'a.slice:scow:x');
    const told = expected.replace('SOCKET', systemd.socket).replace('UNIT', 'scow-x.scope');
    expect({ engine, status, stderr, left }).toEqual({
      engine,
      status: 1,
      stderr: `scow: ${told}\n`,
      left: [],
    });
  }
  // A unit that failed may keep its name, but one of another container must not be stopped.
  expect(systemd.calls).not.toContain('StopUnit');
  const reset = systemd.calls.filter((member) => member === 'ResetFailedUnit').length;
  expect(reset).toBe(behaviour === 'has the unit' || behaviour === 'fails' ? ENGINES.length : 0);
});

test('one that does not answer is waited for only so long', async () => {
  systemd = await FakeSystemd.start('is silent');
  process.env = { ...env, DBUS_SYSTEM_BUS_ADDRESS: systemd.address };
  expect(() => SystemdManager.connect('system', 100)).toThrow(
    `cannot reach systemd: ${systemd.socket}: no answer within 0.1 seconds: leave`,
  );
});

test('a scow that is killed meanwhile leaves no init, and what else is left can be deleted', async () => {
  systemd = await FakeSystemd.start('takes its time');
  const id = newId();
  const { child } = startScow(['--systemd-cgroup', 'create', '--bundle', bundleOf(), id], {
    engine: 'bun',
    env: { ...env, DBUS_SYSTEM_BUS_ADDRESS: systemd.address },
  });
  await eventually(() => systemd?.calls.at(-1) === 'StartTransientUnit');
  const { pid } = stateOf(id);
  expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('scow:[init]\n');
  child.kill('SIGKILL');
  await eventually(() => !existsSync(`/proc/${pid}`));
  expect(scow(['delete', '--force', id], { engine: 'bun' })).toMatchObject({
    status: 0,
    stderr: '',
  });
  expect(containers()).toEqual([]);
});

test('a container can be deleted when systemd is gone', () => {
  const id = newId();
  expect(scow(['create', '--bundle', bundleOf(), id], { engine: 'bun' }).status).toBe(0);
  const store = new ContainerStore(rootOf('scow'));
  store.write({ ...store.read(id), unit: { name: 'scow-x.scope', instance: 'system' } });
  const [command = '', ...args] = [...WITHOUT, ...scowWords('bun'), 'delete', '--force', id];
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  expect({ status, stderr, left: containers() }).toEqual({
    status: 0,
    stderr: `scow: warning: cannot reach systemd: ${nowhere}: the unit scow-x.scope is left to systemd\n`,
    left: [],
  });
});

test('an ordinary user has a systemd of their own, or is told how to get one', () => {
  const user: OrdinaryUser = { uid: 61234, gid: 61235 };
  const bundle = bundleOf(running('true'));
  const runtime = directoryOf(user, 'runtime');
  const told = (more: Record<string, string>) => {
    const args = ['--root', join(runtime, 'scow'), '--cgroup-manager', 'systemd', 'run', newId()];
    const options = {
      engine: 'bun',
      cwd: bundle,
      env: { PATH: '/usr/bin:/bin', ...more },
    } as const;
    return scowAs(user, args, options).stderr.split('\n').at(-2);
  };
  const help =
    'log in, or have it started without a login (loginctl enable-linger), or leave --systemd-cgroup out to use cgroupfs';
  expect(told({})).toBe(
    `scow: cannot reach the user's systemd: XDG_RUNTIME_DIR is not set: ${help}`,
  );
  expect(told({ XDG_RUNTIME_DIR: runtime })).toBe(
    `scow: cannot reach the user's systemd: ${runtime}/systemd/private: no such file or directory (ENOENT); ` +
      `${runtime}/bus: no such file or directory (ENOENT): ${help}`,
  );
});

test.each([
  ['/a/b', 'with systemd it is slice:prefix:name, such as machine.slice:scow:web'],
  ['a:b:c', '"a" is no slice: give one such as machine.slice, a-b.slice or -.slice'],
])('the path %s is refused before systemd is asked', (path, why) => {
  expect(run('bun', undefined, path)).toMatchObject({
    stderr: `scow: linux.cgroupsPath ${JSON.stringify(path)}: ${why}  [/linux/cgroupsPath]\n`,
    left: [],
  });
});
