/** A process that `exec` makes is where the container's own is, whatever that consists of. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { findHierarchy } from '../../../runtime/cgroups/hierarchy.ts';
import type { NamespaceType } from '../../../schemas/runtime-config.ts';
import { both, type Edit, giveToMapped, linuxOf, mapped } from '../../helpers/container.ts';
import { MappedUser } from '../../helpers/mapped-user.ts';
import { bundleOf, cleanUp, ENGINES, newId, rootOf, running, scow } from '../../helpers/scow.ts';
import { call, initOf, script, shown, startedFrom } from './support.ts';

const user = new MappedUser();
beforeAll(() => user.add());
afterAll(() => user.remove());
afterEach(cleanUp);

const NAMES = readdirSync('/proc/self/ns').filter((name) => !name.endsWith('_for_children'));
const SHOW = ['sh', '-c', NAMES.map((name) => `readlink /proc/self/ns/${name}`).join(';')];

function namespacesOf(pid: number): string[] {
  return NAMES.map((name) => readlinkSync(`/proc/${pid}/ns/${name}`));
}

const only =
  (...types: readonly NamespaceType[]): Edit =>
  (config) => {
    linuxOf(config).namespaces = types.map((type) => ({ type }));
  };

function containerOf(engine: 'node' | 'bun', ...edits: readonly Edit[]): string {
  const bundle = bundleOf(both(running('sleep', '1000'), ...edits));
  giveToMapped(bundle);
  return startedFrom(engine, bundle);
}

const SETS: readonly (readonly [string, Edit])[] = [
  ['usual namespaces', both()],
  ['all namespaces', both(only('mount', 'pid', 'ipc', 'uts', 'network', 'cgroup', 'time'), mapped)],
  ['no PID namespace', only('mount', 'uts')],
];

describe.each(ENGINES)('under %s', (engine) => {
  test.each(SETS)('a process joins a container with %s', (_, edit) => {
    const id = containerOf(engine, edit);
    const pid = initOf(id);
    expect(shown(engine, id, SHOW)).toEqual(namespacesOf(pid));
    expect(shown(engine, id, ['id', '-u'])).toEqual(['0']);
  });

  test('a process joins what a container has joined of another', () => {
    const first = containerOf(engine);
    const path = (file: string) => `/proc/${initOf(first)}/ns/${file}`;
    const second = containerOf(engine, (config) => {
      linuxOf(config).namespaces = [
        { type: 'mount' },
        { type: 'pid', path: path('pid') },
        { type: 'network', path: path('net') },
        { type: 'ipc', path: path('ipc') },
        { type: 'uts', path: path('uts') },
      ];
    });
    expect(shown(engine, second, SHOW)).toEqual(namespacesOf(initOf(second)));
  });

  test('a process joins a container of an ordinary user', () => {
    const bundle = user.bundle(engine, running('sleep', '1000'));
    const id = newId();
    const as = (...args: string[]) => user.scow(engine, args, bundle);
    expect(as('run', '--detach', id)).toMatchObject({ status: 0, stderr: '' });
    const { status, stdout, stderr } = as(
      'exec',
      '-e',
      'A=1',
      id,
      'sh',
      '-c',
      'id -u; echo $A $HOME',
    );
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '0\n1 /root\n', stderr: '' });
    const pid = JSON.parse(as('state', id).stdout).pid;
    expect(
      as('exec', id, ...SHOW)
        .stdout.trim()
        .split('\n'),
    ).toEqual(namespacesOf(pid));
    expect(as('delete', '--force', id).status).toBe(0);
  });

  test('a process is born in the cgroup of the container, or in one below it', () => {
    const id = containerOf(engine, (config) => {
      const { namespaces = [] } = linuxOf(config);
      linuxOf(config).namespaces = namespaces.filter(({ type }) => type !== 'cgroup');
    });
    const grep = ['grep', '^0::', '/proc/self/cgroup'];
    const [own = ''] = shown(engine, id, grep);
    expect(own.endsWith(`/${id}`)).toBe(true);
    expect(shown(engine, id, grep, ['--cgroup', '/'])).toEqual([own]);
    const directory = join(findHierarchy().mountPoint, own.slice('0::'.length));
    spawnSync('mkdir', [join(directory, 'below')]);
    expect(shown(engine, id, grep, ['--cgroup', 'below'])).toEqual([`${own}/below`]);
    // A cgroup beside one that has threads only takes no processes: init is elsewhere by then.
    spawnSync('mkdir', [join(directory, 'threads')]);
    const write = (file: string, value: string) =>
      spawnSync('sh', ['-c', `echo ${value} > ${join(directory, file)}`]).status;
    expect(write('threads/cgroup.type', 'threaded')).toBe(0);
    const refused = call(engine, ['exec', '--cgroup', 'below', id, 'true']);
    expect(refused).toMatchObject({ status: 255 });
    expect(refused.stderr).toMatch(/^scow: cannot start a process in cgroup .*EOPNOTSUPP.*\n$/);
  });
});

test('a process that begins in a paused container starts when that goes on', () => {
  const id = containerOf('bun');
  const engine = { engine: 'bun' } as const;
  expect(scow(['pause', id], engine).status).toBe(0);
  const refused = scow(['exec', id, 'true'], engine);
  expect(refused).toMatchObject({
    status: 255,
    stderr: 'scow: cannot exec in a paused container (use --ignore-paused to override)\n',
  });
  const flags = ['--ignore-paused', '--detach', '--pid-file', join(rootOf('scow'), '..', 'pid')];
  expect(scow(['exec', ...flags, id, 'touch', '/dev/shm/began'], engine).status).toBe(0);
  expect(scow(['resume', id], engine).status).toBe(0);
  expect(script('bun', id, 'until test -e /dev/shm/began; do sleep 0.1; done')).toEqual(['']);
});

test('a created container can be entered, a stopped one not', () => {
  const id = newId();
  const engine = { engine: 'bun' } as const;
  expect(scow(['create', '-b', bundleOf(running('true')), id], engine).status).toBe(0);
  expect(script('bun', id, 'echo early')).toEqual(['early']);
  expect(scow(['start', id], engine).status).toBe(0);
  while (JSON.parse(scow(['state', id], engine).stdout).status !== 'stopped');
  expect(scow(['exec', id, 'true'], engine)).toMatchObject({
    status: 255,
    stderr: 'scow: cannot exec in a stopped container\n',
  });
});
