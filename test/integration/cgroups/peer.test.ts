import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyDeviceRules } from '../../../runtime/cgroups/attach.ts';
import { DEFAULT_DEVICE_RULES } from '../../../runtime/cgroups/devices.ts';
import type { DeviceRule } from '../../../schemas/runtime-config.ts';
import { Sandbox } from './sandbox.ts';

const denyAll: DeviceRule = { allow: false, access: 'rwm' };
const allowAll: DeviceRule = { allow: true, type: 'a', access: 'rwm' };
const rule = (allow: boolean, type: 'b' | 'c', major: number, minor: number, access: string) =>
  ({ allow, type, major, minor, access }) as const;

const LISTS: readonly (readonly [string, readonly DeviceRule[]])[] = [
  ['runc spec’s own', [denyAll]],
  ['no rule at all', []],
  ['exceptions to a denial', [denyAll, rule(true, 'c', 60, 3, 'rw'), rule(true, 'b', 61, -1, 'r')]],
  ['exceptions without a denial before', [rule(true, 'c', 60, 3, 'rwm')]],
  ['everything allowed', [allowAll]],
  ['an exception to a permission', [allowAll, rule(false, 'c', 60, 3, 'rw')]],
  ['a permission taken back', [rule(true, 'c', 60, 3, 'rw'), denyAll]],
  ['a part of one taken back', [rule(true, 'c', 60, 3, 'rwm'), rule(false, 'c', 60, 3, 'w')]],
  ['one granted in two parts', [rule(true, 'c', 60, 3, 'r'), rule(true, 'c', 60, 3, 'w')]],
  ['a default device denied', [denyAll, rule(false, 'c', 1, 3, 'rwm')]],
];

const DEVICES = ['c 1 3', 'c 1 7', 'c 60 3', 'c 61 3', 'b 60 3', 'b 61 7'];

/** Says of each device and access whether the kernel denies it; runs in the folder of nodes. */
const SCRIPT = DEVICES.map(
  (device) => `
    n='${device}'
    try() { echo "$n $1: $(eval "$2" 2>&1 | busybox grep -c 'Operation not permitted')"; }
    try read ': < "$n"'
    try write ': >> "$n"'
    try both ': <> "$n"'
    try mknod "busybox mknod new $n && busybox rm new"`,
).join('\n');

let bundle: string;
let nodes: string;
beforeAll(() => {
  bundle = mkdtempSync(join(tmpdir(), 'scow-peer-'));
  nodes = join(bundle, 'rootfs/nodes');
  mkdirSync(nodes, { recursive: true });
  mkdirSync(join(bundle, 'rootfs/bin'));
  copyFileSync('/bin/busybox', join(bundle, 'rootfs/bin/busybox'));
  for (const device of DEVICES) {
    const { status } = spawnSync('mknod', [join(nodes, device), ...device.split(' ')]);
    expect(status).toBe(0);
  }
});
afterAll(() => rmSync(bundle, { recursive: true }));

function underRunc(devices: readonly DeviceRule[]): string {
  const capabilities = ['CAP_MKNOD'];
  const config = {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0 },
      args: ['/bin/busybox', 'sh', '-c', `cd /nodes; ${SCRIPT}`],
      env: ['PATH=/bin'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    },
    root: { path: 'rootfs' },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
    linux: { namespaces: [{ type: 'mount' }, { type: 'pid' }], resources: { devices } },
  };
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
  const id = `scow-peer-${process.pid}`;
  const { stdout, stderr, status } = spawnSync('runc', ['run', '--bundle', bundle, id], {
    encoding: 'utf8',
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout;
}

async function underScow(devices: readonly DeviceRule[]): Promise<string> {
  const sandbox = new Sandbox('peer');
  const cgroup = sandbox.make('c');
  applyDeviceRules(cgroup, [...devices, ...DEFAULT_DEVICE_RULES]);
  const child = await sandbox.run(cgroup, `cd ${nodes}; exec busybox sh -c '${quoted(SCRIPT)}'`);
  let said = '';
  child.stdout?.on('data', (data) => {
    said += data;
  });
  await once(child, 'close');
  await sandbox.cleanUp();
  return said;
}

const quoted = (script: string) => script.replaceAll("'", String.raw`'\''`);

test.each(LISTS)('rules mean the same as under runc: %s', async (_, rules) => {
  const expected = underRunc(rules);
  expect(expected.split('\n').length).toBe(4 * DEVICES.length + 1);
  expect(await underScow(rules)).toBe(expected);
});
