/** Cgroups that the systemd of an ordinary user makes, for one who is in no session of theirs. */

import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Resources } from '../../../schemas/resources-config.ts';
import type { RuntimeConfig } from '../../../schemas/runtime-config.ts';
import { directoryOf, type OrdinaryUser, scowAs } from '../../helpers/ordinary-user.ts';
import { bundleOf, cleanUp, newId, testDirectory } from '../../helpers/scow.ts';

afterEach(cleanUp);

const NAME = 'scow-rootless';
const UID = 52345;
const USER: OrdinaryUser = { uid: UID, gid: UID };
const RUNTIME = `/run/user/${UID}`;
const SERVICE = `/sys/fs/cgroup/user.slice/user-${UID}.slice/user@${UID}.service`;

function output(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  expect({ command, args, status, stderr }).toEqual({ command, args, status: 0, stderr: '' });
  return stdout.trim();
}

beforeAll(() => {
  // More than this is not needed of useradd(8): who has no password needs no shadow(5).
  appendFileSync('/etc/passwd', `${NAME}:*:${UID}:${UID}::/home/${NAME}:/bin/sh\n`);
  appendFileSync('/etc/group', `${NAME}:*:${UID}:\n`);
  output('install', '--directory', `--owner=${NAME}`, `/home/${NAME}`);
  output('systemctl', 'start', `user@${UID}.service`);
});

interface Caller {
  readonly env?: Record<string, string>;
  readonly outer?: readonly string[];
}

/** Makes a bundle as `spec --rootless` does, and what calls scow as the user in it. */
function prepare(edit: (config: RuntimeConfig) => object, { env = {}, outer = [] }: Caller = {}) {
  const bundle = bundleOf();
  rmSync(join(bundle, 'config.json'));
  directoryOf(USER, bundle.slice(testDirectory().length + 1));
  const options = {
    engine: 'bun',
    cwd: bundle,
    env: { PATH: process.env.PATH ?? '', XDG_RUNTIME_DIR: RUNTIME, ...env },
    outer,
  } as const;
  const call = (...args: string[]) => scowAs(USER, args, options);
  const command = (...args: string[]) => {
    const { status, stdout, stderr } = call(...args);
    expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
    return stdout;
  };
  command('spec', '--rootless');
  const file = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  config.process = { ...config.process, terminal: false, args: ['sleep', '1000'] };
  writeFileSync(file, JSON.stringify({ ...config, ...edit(config) }));
  return { call, command };
}

function limitedTo(resources: Resources) {
  return ({ linux }: RuntimeConfig) => ({ linux: { ...linux, resources } });
}

function systemctl(...args: string[]): string {
  const become = ['--reuid', String(UID), '--regid', String(UID), '--clear-groups'];
  const env = ['env', `XDG_RUNTIME_DIR=${RUNTIME}`, 'systemctl', '--user'];
  return output('setpriv', ...become, ...env, ...args);
}

function unitsLeft(): string {
  return systemctl('list-units', '--all', '--plain', '--no-legend', '*scow-test*');
}

test('a container has its limits, whatever is executed in it has them too, and nothing is left', () => {
  const id = newId();
  const { command } = prepare(
    limitedTo({
      memory: { limit: 67108864, swap: 100663296, reservation: 1048576 },
      cpu: { shares: 512, quota: 50000, period: 100000 },
      pids: { limit: 55 },
    }),
  );
  const unit = `scow-${id}.scope`;
  const cgroup = `${SERVICE}/user.slice/${unit}`;
  const read = (file: string) => readFileSync(join(cgroup, file), 'latin1').trim();
  const limits = () =>
    ['memory.max', 'memory.swap.max', 'memory.low', 'cpu.weight', 'cpu.max', 'pids.max'].map(read);
  command('--systemd-cgroup', 'run', '--detach', id);
  expect(limits()).toEqual(['67108864', '33554432', '1048576', '59', '50000 100000', '55']);
  expect(systemctl('show', unit, '--property=ActiveState,Delegate,MemoryMax').split('\n')).toEqual(
    expect.arrayContaining(['ActiveState=active', 'Delegate=yes', 'MemoryMax=67108864']),
  );
  // The caller is in the cgroup of another service, from where the kernel lets this user move nobody.
  expect(readFileSync('/proc/self/cgroup', 'utf8')).toContain('0::/system.slice/');
  command('exec', '--detach', id, 'sleep', '999');
  expect(read('cgroup.procs').split('\n')).toHaveLength(2);
  command('update', '--memory', '32m', '--memory-swap', '48m', '--cpu-quota', '20000', id);
  command('update', '--pids-limit', '44', id);
  const updated = ['33554432', '16777216', '1048576', '59', '20000 100000', '44'];
  expect(limits()).toEqual(updated);
  systemctl('daemon-reload');
  expect(limits()).toEqual(updated);
  expect(JSON.parse(command('events', '--stats', id)).data.pids).toMatchObject({
    current: 2,
    limit: 44,
  });
  command('pause', id);
  expect(read('cgroup.events')).toMatch(/^frozen 1$/m);
  command('resume', id);
  command('delete', '--force', id);
  expect([unitsLeft(), existsSync(cgroup)]).toEqual(['', false]);
});

test('a limit of a controller that is not delegated is refused, and nothing is left', () => {
  const id = newId();
  const { call } = prepare(limitedTo({ cpu: { cpus: '0' } }));
  const { status, stderr } = call('--systemd-cgroup', 'run', id);
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(
      /^scow: cannot set cpuset\.cpus of cgroup .*: the cpuset controller is not enabled in .*: no permission \(EACCES\); delegate it to this user \(systemd: Delegate=cpuset\) {2}\[\/linux\/resources\/cpu\/cpus\]\n$/,
    ),
  });
  expect(unitsLeft()).toBe('');
});

test('root of a user namespace that a user has made is that user', () => {
  const id = newId();
  const root = [{ containerID: 0, hostID: 0, size: 1 }];
  const cgroupsPath = `scow-vm.slice:scow:${id}`;
  const edit = ({ linux }: RuntimeConfig) => ({
    linux: { ...linux, uidMappings: root, gidMappings: root, cgroupsPath },
  });
  const { command } = prepare(edit, { outer: ['unshare', '--user', '--map-root-user'] });
  command('--systemd-cgroup', 'run', '--detach', id);
  const scope = `${SERVICE}/scow.slice/scow-vm.slice/scow-${id}.scope`;
  expect(existsSync(`${scope}/cgroup.procs`)).toBe(true);
  command('delete', '--force', id);
  expect(unitsLeft()).toBe('');
});

test('through the bus of the session it is the same', () => {
  // Without dbus-user-session there is none, and systemd's own socket is next.
  const env = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${RUNTIME}/bus` };
  const edit = ({ process }: RuntimeConfig) => ({ process: { ...process, args: ['true'] } });
  prepare(edit, { env }).command('--systemd-cgroup', 'run', newId());
  expect(unitsLeft()).toBe('');
});
