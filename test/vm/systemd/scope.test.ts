/** Cgroups that the machine's systemd makes. */

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Resources } from '../../../schemas/resources-config.ts';
import type { Namespace } from '../../../schemas/runtime-config.ts';
import { FakeSystemd } from '../../helpers/fake-systemd.ts';
import {
  bundleOf,
  cleanUp,
  commandOf,
  type EditableConfig,
  type Engine,
  newId,
  rootOf,
  running,
  scow,
  testDirectory,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

const engine: Engine = 'bun';
const MOUNT = '/sys/fs/cgroup';

function systemctl(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('systemctl', args, { encoding: 'utf8' });
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
  return stdout.trim();
}

/** Properties of a unit. */
function shown(unit: string, ...names: string[]): Record<string, string> {
  const lines = systemctl('show', unit, ...names.map((name) => `--property=${name}`)).split('\n');
  // DeviceAllow has a line for each entry, in an order of systemd's own.
  const list = lines
    .filter((line) => line.startsWith('DeviceAllow='))
    .map((line) => line.slice(12));
  const entries = lines.map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]);
  return {
    ...Object.fromEntries(entries),
    ...(list.length === 0 ? {} : { DeviceAllow: list.toSorted().join(' ') }),
  };
}

/** Units of the tests that systemd still knows. */
function unitsLeft(): string {
  return systemctl('list-units', '--all', '--plain', '--no-legend', '*scow-test*');
}

interface Wanted {
  readonly cgroupsPath?: string;
  readonly resources?: Resources;
  readonly annotations?: Record<string, string>;
  readonly edit?: (config: EditableConfig) => void;
}

function bundle({ cgroupsPath = '', resources, annotations = {}, edit }: Wanted, args: string[]) {
  return bundleOf((config) => {
    running(...args)(config);
    Object.assign(config, { annotations });
    Object.assign(config.linux ?? {}, { cgroupsPath, ...(resources ? { resources } : {}) });
    edit?.(config);
  });
}

function run(id: string, wanted: Wanted, args: string[], options: readonly string[] = []) {
  const words = ['--systemd-cgroup', 'run', ...options, '--bundle', bundle(wanted, args), id];
  return scow(words, { engine });
}

/** Starts a container that sleeps in `a-b.slice`. */
function start(wanted: Omit<Wanted, 'cgroupsPath'> = {}) {
  const id = newId();
  const cgroupsPath = `scow-vm.slice:scow:${id}`;
  const { status, stderr } = run(id, { ...wanted, cgroupsPath }, ['sleep', '1000'], ['--detach']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const unit = `scow-${id}.scope`;
  const cgroup = join(MOUNT, 'scow.slice/scow-vm.slice', unit);
  const read = (file: string) => readFileSync(join(cgroup, file), 'latin1').trim();
  return { id, unit, cgroup, read };
}

const command = (...args: string[]) => {
  const { status, stdout, stderr } = scow(args, { engine });
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
  return stdout;
};

const ALL: Resources = {
  memory: { limit: 67108864, swap: 100663296, reservation: 1048576 },
  cpu: { shares: 512, quota: 50500, period: 100000, burst: 10000, cpus: '0', mems: '0' },
  pids: { limit: 20 },
  hugepageLimits: [{ pageSize: '2MB', limit: 4194304 }],
  blockIO: { weight: 500 },
  unified: { 'memory.high': '62914560' },
  devices: [
    { allow: false, access: 'rwm' },
    { allow: true, type: 'c', major: 5, minor: 1, access: 'r' },
  ],
};

const FILES = {
  'memory.max': '67108864',
  'memory.swap.max': '33554432',
  'memory.low': '1048576',
  'memory.high': '62914560',
  'cpu.weight': '59',
  'cpu.max': '51000 100000',
  'cpu.max.burst': '10000',
  'cpuset.cpus': '0',
  'cpuset.mems': '0',
  'pids.max': '20',
  'hugetlb.2MB.max': '4194304',
  'io.weight': 'default 4950',
};

const PROPERTIES = {
  Delegate: 'yes',
  DefaultDependencies: 'no',
  Slice: 'scow-vm.slice',
  MemoryMax: '67108864',
  MemoryLow: '1048576',
  MemoryHigh: '62914560',
  MemorySwapMax: '33554432',
  CPUWeight: '59',
  CPUQuotaPerSecUSec: '510ms',
  CPUQuotaPeriodUSec: '100ms',
  AllowedCPUs: '0',
  AllowedMemoryNodes: '0',
  TasksMax: '20',
  IOWeight: '4950',
  DevicePolicy: 'strict',
  DeviceAllow:
    '/dev/char/10:200 rwm /dev/char/1:3 rwm /dev/char/1:5 rwm /dev/char/1:7 rwm ' +
    '/dev/char/1:8 rwm /dev/char/1:9 rwm /dev/char/5:0 rwm /dev/char/5:1 r /dev/char/5:2 rwm block-* m char-* m char-136 rwm',
  MemoryAccounting: 'yes',
  CPUAccounting: 'yes',
  IOAccounting: 'yes',
  TasksAccounting: 'yes',
  TimeoutStopUSec: '7s',
  Documentation: '"man:one(1)" "man:two(1)"',
};

/** Which of four devices a process of the container may read: null, console, tty0 and zero. */
const READABLE = `for one in 1:3 5:1 4:0 1:5; do
  mknod /dev/x c \${one%:*} \${one#*:}; true 2>/dev/null </dev/x && echo $one; rm /dev/x
done`;

function readable(id: string): string[] {
  return command('exec', '--cap', 'CAP_MKNOD', id, 'sh', '-c', READABLE).trim().split('\n');
}

test('a scope has all limits as properties and in files, and a reload changes nothing', () => {
  const annotations = {
    'org.systemd.property.TimeoutStopSec': 'uint64 7',
    'org.systemd.property.Documentation': "['man:one(1)', 'man:two(1)']",
    'org.systemd.property.CollectMode': "'inactive-or-failed'",
  };
  const { id, unit, cgroup, read } = start({ resources: ALL, annotations });
  const names = Object.keys(PROPERTIES);
  const files = () => Object.fromEntries(Object.keys(FILES).map((file) => [file, read(file)]));
  expect(shown(unit, ...names)).toEqual(PROPERTIES);
  expect(files()).toEqual(FILES);
  expect(readable(id)).toEqual(['1:3', '5:1', '1:5']);
  systemctl('daemon-reload');
  expect(shown(unit, ...names)).toEqual(PROPERTIES);
  expect(files()).toEqual(FILES);
  expect(readable(id)).toEqual(['1:3', '5:1', '1:5']);
  // Init came into its cgroup before it made its cgroup namespace.
  expect(command('exec', id, 'cat', '/proc/self/cgroup')).toBe('0::/\n');

  command('update', '--memory', '32m', '--memory-swap', '48m', '--pids-limit', '-1', id);
  command('update', '--cpu-period', '200000', id);
  const allow = JSON.stringify({ devices: [{ allow: true, type: 'c', major: 4, access: 'rwm' }] });
  expect(scow(['update', '--resources', '-', id], { engine, input: allow }).stderr).toBe('');
  const updated = {
    MemoryMax: '33554432',
    MemorySwapMax: '16777216',
    MemoryHigh: '62914560',
    TasksMax: 'infinity',
    CPUQuotaPerSecUSec: '260ms',
    CPUQuotaPeriodUSec: '200ms',
  };
  const changed = {
    ...FILES,
    'memory.max': '33554432',
    'memory.swap.max': '16777216',
    'pids.max': 'max',
    'cpu.max': '52000 200000',
  };
  expect(shown(unit, ...Object.keys(updated))).toEqual(updated);
  expect(files()).toEqual(changed);
  systemctl('daemon-reload');
  expect(files()).toEqual(changed);
  expect(readable(id)).toEqual(['1:3', '4:0', '1:5']);

  command('pause', id);
  expect(read('cgroup.events')).toMatch(/^frozen 1$/m);
  command('resume', id);
  const { pid } = JSON.parse(command('state', id));
  expect(JSON.parse(command('ps', '--format', 'json', id))).toEqual([pid]);
  expect(JSON.parse(command('events', '--stats', id)).data.memory.usage.limit).toBe(33554432);

  // A name that is taken is another container's, which goes on.
  const path = `scow-vm.slice:scow:${id}`;
  expect(run(newId(), { cgroupsPath: path }, ['true'])).toMatchObject({
    status: 1,
    stderr: `scow: systemd did not make the unit ${unit}: there is one of this name: choose another linux.cgroupsPath or container ID  [/linux/cgroupsPath]\n`,
  });
  expect(command('exec', id, 'echo', 'still')).toBe('still\n');
  command('delete', '--force', id);
  expect([unitsLeft(), existsSync(cgroup)]).toEqual(['', false]);
});

test('rules that systemd has no words for are in force all the same, and after a reload', () => {
  const resources: Resources = {
    devices: [
      { allow: true, access: 'rwm' },
      { allow: false, type: 'c', major: 4, minor: 0, access: 'rwm' },
    ],
  };
  const { id, unit } = start({ resources });
  expect(shown(unit, 'DevicePolicy')).toEqual({ DevicePolicy: 'auto' });
  expect(readable(id)).toEqual(['1:3', '5:1', '1:5']);
  systemctl('daemon-reload');
  expect(readable(id)).toEqual(['1:3', '5:1', '1:5']);
});

test('without a path the scope is in system.slice; init forks under a limit of one process', () => {
  const id = newId();
  const mapping = { containerID: 0, hostID: 100000, size: 65536 };
  const edit = (config: EditableConfig) => {
    const { linux } = config;
    if (linux === undefined) return;
    (linux.namespaces as Namespace[]) = [
      ...(linux.namespaces ?? []).filter(({ type }) => type !== 'cgroup'),
      { type: 'user' },
    ];
    linux.uidMappings = linux.gidMappings = [mapping];
  };
  const wanted = { resources: { pids: { limit: 1 } }, edit };
  const words = ['--cgroup-manager', 'systemd', 'run', '--bundle'];
  const args = [...words, bundle(wanted, ['cat', '/proc/self/cgroup']), id];
  expect(scow(args, { engine: 'node' })).toMatchObject({
    status: 0,
    stderr: '',
    stdout: `0::/system.slice/scow-${id}.scope\n`,
  });
  expect(unitsLeft()).toBe('');
});

test('through the bus it is the same', () => {
  const id = newId();
  const args = ['--systemd-cgroup', 'run', '--bundle', bundle({}, ['echo', 'out']), id];
  const env = {
    ...process.env,
    DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nowhere;unix:path=/run/dbus/system_bus_socket',
  };
  expect(scow(args, { engine, env })).toMatchObject({ status: 0, stdout: 'out\n', stderr: '' });
  expect(unitsLeft()).toBe('');
});

test('what systemd or the kernel refuses is told, and nothing is left', () => {
  const failing = (wanted: Wanted) => {
    const { status, stderr } = run(newId(), wanted, ['true']);
    expect({ status, left: unitsLeft() }).toEqual({ status: 1, left: '' });
    return stderr;
  };
  const annotated = (name: string, value: string) =>
    failing({ annotations: { [`org.systemd.property.${name}`]: value } });
  expect(annotated('NoSuchThing', "'x'")).toMatch(/^scow: systemd did not make .*NoSuchThing.*\n$/);
  expect(annotated('TimeoutStopUSec', "'x'")).toMatch(/^scow: systemd did not make the unit .*\n$/);
  expect(failing({ resources: { cpu: { cpus: '7' } } })).toMatch(
    /^scow: .*cpuset\.cpus.*\[\/linux\/resources\/cpu\/cpus\]\n$/,
  );
  expect(failing({ resources: { memory: { limit: 50000 } } })).toMatch(
    /^scow: the memory limit is too small.*\[\/linux\/resources\/memory\/limit\]\n$/,
  );
  expect(readdirSync(rootOf('scow')).filter((name) => !name.startsWith('@'))).toEqual([]);
});

test('a slice that stands still takes no container', () => {
  const { id } = start();
  const slice = join(MOUNT, 'scow.slice/scow-vm.slice');
  writeFileSync(join(slice, 'cgroup.freeze'), '1');
  const other = run(newId(), { cgroupsPath: `scow-vm.slice:scow:other-${id}` }, ['true']);
  writeFileSync(join(slice, 'cgroup.freeze'), '0');
  expect(other).toMatchObject({
    status: 1,
    stderr: `scow: container's cgroup unexpectedly frozen: ${slice}/scow-other-${id}.scope; thaw ${slice} first (write 0 to its cgroup.freeze)\n`,
  });
  command('delete', '--force', id);
  expect(unitsLeft()).toBe('');
});

test('a scope that ended without us can be deleted, and its name be used again', () => {
  const { id, unit, cgroup } = start();
  systemctl('stop', unit);
  expect(JSON.parse(command('state', id)).status).toBe('stopped');
  command('delete', id);
  const path = `scow-vm.slice:scow:${id}`;
  expect(run(id, { cgroupsPath: path }, ['true'])).toMatchObject({ status: 0, stderr: '' });
  expect([unitsLeft(), existsSync(cgroup)]).toEqual(['', false]);
});

test('a systemd that does not answer any more is waited for, and nothing is left', async () => {
  const systemd = await FakeSystemd.start('takes its time');
  const [program, ...first] = commandOf(engine);
  const words = ['--root', join(testDirectory(), 'waiting'), '--systemd-cgroup', 'run', '--bundle'];
  const child = spawn(program, [...first, ...words, bundle({}, ['true']), newId()], {
    env: { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: systemd.address },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const status = await new Promise((resolve) => child.on('close', resolve));
  systemd.stop();
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(
      /^scow: systemd did not make the unit scow-scow-test-.*: no answer within 30 seconds\n$/,
    ),
  });
  expect(systemd.calls.at(-1)).toBe('StartTransientUnit');
  const left = readdirSync(join(testDirectory(), 'waiting'));
  expect(left.filter((name) => !name.startsWith('@'))).toEqual([]);
});
