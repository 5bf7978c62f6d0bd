import { once } from 'node:events';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyDeviceRules } from '../../../runtime/cgroups/attach.ts';
import {
  attachedPrograms,
  attachProgram,
  detachProgram,
  loadProgram,
} from '../../../runtime/cgroups/bpf.ts';
import type { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { DEFAULT_DEVICE_RULES, deviceProgram } from '../../../runtime/cgroups/devices.ts';
import { AT, CLONE, O, S } from '../../../runtime/linux/constants.ts';
import { type Call, spawn, syscall } from '../../../runtime/linux/syscall.ts';
import type { DeviceRule } from '../../../schemas/runtime-config.ts';
import {
  type DeviceRequest,
  isAllowed,
  randomRules,
  seededRandom,
} from '../../unit/cgroups/oracle.ts';
import { Sandbox } from './sandbox.ts';

const EPERM = -1;
const STACK = 64 * 1024;

let sandbox: Sandbox;
let cgroup: Cgroup;
let nodes: string;
beforeEach(() => {
  sandbox = new Sandbox('devices');
  cgroup = sandbox.make('c');
  nodes = mkdtempSync(join(tmpdir(), 'scow-devices-'));
});
afterEach(async () => {
  await sandbox.cleanUp();
  rmSync(nodes, { recursive: true });
});

type Device = Pick<DeviceRequest, 'type' | 'major' | 'minor'>;

/** Major numbers 60 and 61 are for experiments and have no driver; the others do no harm. */
const DEVICES: readonly Device[] = [
  { type: 'c', major: 1, minor: 3 },
  { type: 'c', major: 1, minor: 5 },
  { type: 'c', major: 1, minor: 7 },
  { type: 'c', major: 60, minor: 3 },
  { type: 'c', major: 61, minor: 4 },
  { type: 'b', major: 60, minor: 3 },
  { type: 'b', major: 61, minor: 7 },
];

const pathOf = ({ type, major, minor }: Device) => join(nodes, `${type}-${major}-${minor}`);
const modeOf = ({ type }: Device) => (type === 'b' ? S.IFBLK : S.IFCHR) | 0o600;
const numberOf = ({ major, minor }: Device) => major * 256 + minor;

function makeNodes(): void {
  for (const device of DEVICES)
    syscall('mknodat', AT.FDCWD, pathOf(device), modeOf(device), numberOf(device));
}

const REQUESTS: readonly DeviceRequest[] = DEVICES.flatMap((device) =>
  ['r', 'w', 'rw', 'm'].map((access) => ({ ...device, access })),
);

/** The call that asks the kernel for what a request is about. */
function probe(request: DeviceRequest): Call {
  if (request.access === 'm')
    return {
      name: 'mknodat',
      args: [AT.FDCWD, join(nodes, 'new'), modeOf(request), numberOf(request)],
    };
  const mode = { r: O.RDONLY, w: O.WRONLY, rw: O.RDWR }[request.access] as number;
  return {
    name: 'openat',
    args: [AT.FDCWD, pathOf(request), mode | O.NONBLOCK | O.NOCTTY | O.CLOEXEC, 0],
  };
}

/** Which requests the kernel denies to a process that was born in the cgroup. */
function deniedByKernel(stack: number): DeviceRequest[] {
  const directory = cgroup.open();
  const cloneArgs = new BigUint64Array(11);
  cloneArgs[0] = BigInt(CLONE.VM + CLONE.VFORK + CLONE.CLEAR_SIGHAND + CLONE.INTO_CGROUP);
  cloneArgs[4] = 17n; // SIGCHLD
  cloneArgs[5] = BigInt(stack);
  cloneArgs[6] = BigInt(STACK);
  cloneArgs[10] = BigInt(directory);
  const unlink: Call = { name: 'unlinkat', args: [AT.FDCWD, join(nodes, 'new'), 0] };
  const calls = REQUESTS.flatMap((request) => [probe(request), unlink]);
  const { pid, results } = spawn(new Uint8Array(cloneArgs.buffer), calls);
  closeSync(directory);
  expect(syscall('wait4', pid, 0, 0, 0)).toBe(pid);
  return REQUESTS.filter((_, i) => results[2 * i] === EPERM);
}

function deniedByOracle(rules: readonly DeviceRule[]): DeviceRequest[] {
  return REQUESTS.filter((request) => !isAllowed(rules, request));
}

test('the kernel loads 200 random lists of rules and enforces what they mean', () => {
  makeNodes();
  const stack = syscall('mmap', 0, STACK, 3, 0x22, -1, 0);
  const random = seededRandom(1);
  expect(deniedByKernel(stack)).toEqual([]);
  for (let i = 0; i < 200; i++) {
    const rules = randomRules(random);
    expect(applyDeviceRules(cgroup, rules)).toBe('attached');
    expect({ rules, denied: deniedByKernel(stack) }).toEqual({
      rules,
      denied: deniedByOracle(rules),
    });
  }
  syscall('munmap', stack, STACK);
});

test('a list of 2,000 rules that differ in everything works', () => {
  const rules = Array.from(
    { length: 2000 },
    (_, i): DeviceRule => ({
      allow: i % 3 !== 0,
      type: i % 2 === 0 ? 'c' : 'b',
      major: i,
      minor: i % 7 === 0 ? -1 : i,
      access: ['r', 'w', 'rw', 'rwm'][i % 4] as string,
    }),
  );
  expect(applyDeviceRules(cgroup, rules)).toBe('attached');
});

test('the default rules let a shell use the usual devices and no others', async () => {
  makeNodes();
  applyDeviceRules(cgroup, [{ allow: false, access: 'rwm' }, ...DEFAULT_DEVICE_RULES]);
  const child = await sandbox.run(
    cgroup,
    `cd ${nodes}
     echo x > c-1-3 && echo null
     head -c1 < c-1-5 > /dev/null && echo zero
     mknod made b 60 5 && echo made
     (: < c-60-3) 2>&1 | grep -o 'Operation not permitted'
     (: < made) 2>&1 | grep -o 'Operation not permitted'`,
  );
  let said = '';
  child.stdout?.on('data', (data) => {
    said += data;
  });
  await once(child, 'close');
  expect(said.split('\n')).toEqual([
    'null',
    'zero',
    'made',
    'Operation not permitted',
    'Operation not permitted',
    '',
  ]);
});

test('new rules take the place of the old ones, and programs of others stay', () => {
  makeNodes();
  const stack = syscall('mmap', 0, STACK, 3, 0x22, -1, 0);
  const directory = cgroup.open();
  const noZero: DeviceRule[] = [
    { allow: true, access: 'rwm' },
    { allow: false, type: 'c', major: 1, minor: 5, access: 'rwm' },
  ];
  const foreign = loadProgram(deviceProgram(noZero), 'not_ours');
  attachProgram(directory, foreign);
  closeSync(foreign);
  const allowAll: DeviceRule[] = [{ allow: true, access: 'rwm' }];
  for (const rules of [[], allowAll, DEFAULT_DEVICE_RULES, allowAll])
    applyDeviceRules(cgroup, rules);
  expect(deniedByKernel(stack)).toEqual(deniedByOracle(noZero));
  const [ours, theirs] = ['scow_devices', 'not_ours'].map((n) => attachedPrograms(directory, n));
  for (const fd of [...(ours ?? []), ...(theirs ?? [])]) closeSync(fd);
  expect([ours?.length, theirs?.length]).toEqual([1, 1]);
  closeSync(directory);
  syscall('munmap', stack, STACK);
});

test('while rules are exchanged there is no moment without them', async () => {
  makeNodes();
  const zero = (access: string): DeviceRule[] => [
    { allow: false, access: 'rwm' },
    { allow: true, type: 'c', major: 1, minor: 3, access: 'rw' },
    { allow: true, type: 'c', major: 1, minor: 5, access },
  ];
  applyDeviceRules(cgroup, zero('w'));
  // A redirection that fails ends the shell: each look is one of its own.
  const look = `cd ${nodes}; n=0; while :; do (: <c-1-5) 2>&- && echo opened; (: <c-1-3) || echo refused; n=$((n+1)); echo $n; done`;
  const child = await sandbox.run(cgroup, look);
  let said = '';
  child.stdout?.on('data', (data) => {
    said += data;
  });
  while (!said.includes('\n300\n')) {
    for (const access of ['m', 'w', 'wm']) applyDeviceRules(cgroup, zero(access));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(said).not.toMatch(/opened|refused/);
});

test('surplus programs of ours are removed at the next change', () => {
  const directory = cgroup.open();
  for (let i = 0; i < 3; i++) {
    const fd = loadProgram(deviceProgram(DEFAULT_DEVICE_RULES), 'scow_devices');
    attachProgram(directory, fd);
    closeSync(fd);
  }
  applyDeviceRules(cgroup, DEFAULT_DEVICE_RULES);
  const left = attachedPrograms(directory, 'scow_devices');
  expect(left.length).toBe(1);
  for (const fd of left) {
    detachProgram(directory, fd);
    expect(attachProgram(directory, fd, fd)).toBe(false);
    detachProgram(directory, fd);
    closeSync(fd);
  }
  closeSync(directory);
});

test('a program that the verifier refuses is an error with its words', () => {
  const exitWithoutAnswer = Uint8Array.of(0x95, 0, 0, 0, 0, 0, 0, 0);
  expect(() => loadProgram(exitWithoutAnswer, 'bad')).toThrow(
    /^the kernel's verifier refused the program: .*R0 !read_ok$/,
  );
});

test('an ordinary user goes without a filter, which only root can set', () => {
  process.seteuid?.(65534);
  try {
    expect(applyDeviceRules(cgroup, DEFAULT_DEVICE_RULES)).toBe('skipped');
  } finally {
    process.seteuid?.(0);
  }
});

test('a failure names the cgroup and the field', () => {
  cgroup.remove();
  expect(() => applyDeviceRules(cgroup, [])).toThrow(
    new RegExp(`^cannot set the device rules of cgroup ${cgroup.path}: it was removed meanwhile`),
  );
});
