import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Cgroup } from '../../runtime/cgroups/cgroup.ts';
import type { Resources } from '../../schemas/resources-config.ts';
import {
  bundleOf,
  cleanUp,
  newId,
  type Result,
  running,
  scow,
  testDirectory,
} from '../helpers/scow.ts';

afterEach(cleanUp);

const MOUNT = '/sys/fs/cgroup';
const engine = 'bun';

function bundle(id: string, resources: Resources, ...args: string[]): string {
  return bundleOf((config) => {
    running(...args)(config);
    Object.assign(config.linux ?? {}, { cgroupsPath: `/${id}`, resources });
  });
}

/** Runs a shell script under such limits. */
function run(resources: Resources, script: string): Result & { id: string } {
  const id = newId();
  const args = ['run', '--bundle', bundle(id, resources, 'sh', '-c', script), id];
  return { id, ...scow(args, { engine }) };
}

/** Starts a container that sleeps. @returns its ID and what a file of its cgroup says */
function start(resources: Resources) {
  const id = newId();
  const args = ['run', '--detach', '--bundle', bundle(id, resources, 'sleep', '1000'), id];
  expect(scow(args, { engine })).toMatchObject({ status: 0, stderr: '' });
  const read = (file: string) => readFileSync(join(MOUNT, id, file), 'latin1').trim();
  return { id, read };
}

const ALL: Resources = {
  memory: { limit: 67108864, swap: 100663296, reservation: 1048576 },
  cpu: { shares: 512, quota: 50000, period: 200000, burst: 10000, cpus: '0', mems: '0' },
  pids: { limit: 20 },
  hugepageLimits: [{ pageSize: '2MB', limit: 4194304 }],
  blockIO: { weight: 500 },
  unified: { 'memory.high': '62914560' },
};

const FILES = {
  'memory.max': '67108864',
  'memory.swap.max': '33554432',
  'memory.low': '1048576',
  'memory.high': '62914560',
  'cpu.weight': '59',
  'cpu.max': '50000 200000',
  'cpu.max.burst': '10000',
  'cpuset.cpus': '0',
  'cpuset.mems': '0',
  'pids.max': '20',
  'hugetlb.2MB.max': '4194304',
  'hugetlb.2MB.rsvd.max': '4194304',
  'io.weight': 'default 4950',
};

test('every limit of config.json is in its file, and update changes it', () => {
  const { id, read } = start(ALL);
  expect(Object.fromEntries(Object.keys(FILES).map((file) => [file, read(file)]))).toEqual(FILES);
  const update = (...args: string[]) => {
    expect(scow(['update', ...args, id], { engine })).toMatchObject({ status: 0, stderr: '' });
  };
  update('--memory', '32m', '--memory-swap', '48m', '--pids-limit', '-1', '--cpu-share', '1024');
  update('--cpu-period', '100000', '--cpu-burst', '0', '--cpuset-cpus', '0-1');
  expect(read('memory.max')).toBe('33554432');
  expect(read('memory.swap.max')).toBe('16777216');
  expect(read('pids.max')).toBe('max');
  expect(read('cpu.weight')).toBe('100');
  // The quota was not mentioned.
  expect(read('cpu.max')).toBe('50000 100000');
  expect(read('cpuset.cpus')).toBe('0-1');
  update('--cpu-quota', '20000', '--memory-swap', '-1', '--cpu-idle', '1');
  expect(read('cpu.max')).toBe('20000 100000');
  expect(read('memory.swap.max')).toBe('max');
  expect(read('cpu.idle')).toBe('1');
  const input = JSON.stringify({
    hugepageLimits: [{ pageSize: '2mb', limit: 2097152 }],
    unified: { 'memory.high': 'max' },
  });
  expect(scow(['update', '-r', '-', id], { engine, input })).toMatchObject({ stderr: '' });
  update('--memory-reservation', '2m', '--blkio-weight', '10', '--cpuset-mems', '0');
  const files = ['hugetlb.2MB.max', 'memory.high', 'memory.low', 'io.weight'];
  expect(files.map(read)).toEqual(['2097152', 'max', '2097152', 'default 1']);
  update('--cpu-idle', '0', '--cpu-share', '2', '--cpu-burst', '15000');
  expect([read('cpu.idle'), read('cpu.weight'), read('cpu.max.burst')]).toEqual([
    '0',
    '1',
    '15000',
  ]);
});

test('a limit on memory kills, and events tells of it', () => {
  const { id, stdout } = run(
    { memory: { limit: 20971520, swap: 20971520 } },
    'dd if=/dev/zero of=/dev/null bs=100M count=1; echo $?; cat /sys/fs/cgroup/memory.events',
  );
  expect(stdout).toMatch(/^137$/m);
  expect(stdout).toMatch(/^oom_kill 1$/m);
  expect(id).not.toBe('');
});

test('a limit on processes makes a fork fail, and 0 allows none', () => {
  expect(run({ pids: { limit: 2 } }, 'sleep 5 & (:); :').stderr).toMatch(/can't fork/);
  expect(run({ pids: { limit: 0 } }, '(:); :').stderr).toMatch(/can't fork/);
  expect(run({ pids: { limit: 2 } }, '(:); :').status).toBe(0);
});

test('a limit on CPU time throttles', () => {
  const { stdout } = run(
    { cpu: { quota: 10000, period: 100000 } },
    'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; cat /sys/fs/cgroup/cpu.stat',
  );
  expect(Number(/^nr_throttled (\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(0);
});

test('a limit that is too small for init is told as that, and nothing is left', () => {
  const { id, status, stderr } = run({ unified: { 'memory.max': '81920' } }, 'true');
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^scow: the memory limit is too small.*\[\/linux\/resources\/unified\/memory\.max\]\n$/,
  );
  expect(() => readFileSync(join(MOUNT, id, 'cgroup.procs'))).toThrow(/ENOENT/);
});

test('a container runs in 44 pages of memory, and an error says so when there is too little', () => {
  const memory = (pages: number, ...args: string[]): Result => {
    const id = newId();
    const resources = { memory: { limit: 4096 * pages } };
    return scow(['run', '--bundle', bundle(id, resources, ...args), id], { engine });
  };
  // The program itself is read into the page cache at another's cost.
  expect(memory(1000, 'true').status).toBe(0);
  // The least is in docs/limits.md; with two processors it takes a little more.
  expect(memory(44, 'true')).toMatchObject({ status: 0, stderr: '' });
  // Below, whatever is the first that finds none: init, the exec, or the program, who are killed.
  const ends = [4, 12, 20, 28, 32, 34, 36].map((pages) => {
    const { status, stderr } = memory(pages, 'true');
    if (status === 1 && / {2}\[\/linux\/resources\/memory\/limit\]\n$/.test(stderr))
      return /^scow: the memory limit is too small to (create|execute)/.exec(stderr)?.[1];
    return { status, stderr };
  });
  expect(ends.slice(0, 4)).toEqual(Array(4).fill('create'));
  const others = ['create', 'execute', { status: 137, stderr: '' }, { status: 0, stderr: '' }];
  for (const end of ends.slice(4)) expect(others).toContainEqual(end);
});

test('a process that finds too little memory to join a container says so, and the container lives', () => {
  const id = newId();
  const path = bundleOf((config) => {
    running('sleep', '1000')(config);
    // Of two the kernel kills the other one.
    Object.assign(config.process ?? {}, { oomScoreAdj: -1000 });
    Object.assign(config.linux ?? {}, { resources: { memory: { limit: 4096 * 80 } } });
  });
  expect(scow(['run', '--detach', '--bundle', path, id], { engine })).toMatchObject({ status: 0 });
  const args = ['update', '--memory', String(4096 * 40), id];
  expect(scow(args, { engine })).toMatchObject({ status: 0, stderr: '' });
  const file = join(testDirectory(), 'process.json');
  const process = { args: ['true'], cwd: '/', user: { uid: 0, gid: 0 }, oomScoreAdj: 1000 };
  writeFileSync(file, JSON.stringify(process));
  expect(scow(['exec', '--process', file, id], { engine })).toMatchObject({
    status: 255,
    stderr: expect.stringMatching(
      /^scow: the memory limit is too small to start a process: .* {2}\[\/linux\/resources\/memory\/limit\]\n$/,
    ),
  });
  expect(JSON.parse(scow(['state', id], { engine }).stdout)).toMatchObject({ status: 'running' });
});

test('a cgroup with processes gets no controllers for its children, not those for threads either', () => {
  const above = join(MOUNT, newId());
  mkdirSync(above);
  const sleeper = spawn('sleep', ['1000']);
  try {
    writeFileSync(join(above, 'cgroup.procs'), String(sleeper.pid));
    const start = (resources: Resources) => {
      const id = newId();
      const path = bundle(
        `${basename(above)}/${id}`,
        resources,
        'cat',
        '/sys/fs/cgroup/cgroup.type',
      );
      return scow(['run', '--bundle', path, id], { engine });
    };
    expect(start({})).toMatchObject({ stdout: 'domain\n', stderr: '' });
    expect(start({ pids: { limit: 5 } }).stderr).toMatch(
      /pids controller is not enabled in .*: there are processes in .* itself.* {2}\[\/linux\/resources\/pids\/limit\]\n$/,
    );
    expect(readFileSync(join(above, 'cgroup.subtree_control'), 'latin1')).toBe('');
  } finally {
    sleeper.kill('SIGKILL');
    Cgroup.at(above).remove();
  }
});

test('what the kernel refuses is named with what there is', () => {
  const cpus = run({ cpu: { cpus: '7' } }, 'true').stderr;
  expect(cpus).toMatch(/cpuset\.cpus.*there are 0-1 {2}\[\/linux\/resources\/cpu\/cpus\]\n$/);
  const throttleReadBpsDevice = [{ major: 99, minor: 0, rate: 1000 }];
  const io = run({ blockIO: { throttleReadBpsDevice } }, 'true').stderr;
  expect(io).toMatch(/io\.max.*no such block device.*\[\/linux\/resources\/blockIO/);
});

test('checkBeforeUpdate refuses a limit below what is in use', () => {
  const { id, read } = start({ memory: { limit: 67108864, checkBeforeUpdate: true } });
  const { status, stderr } = scow(['update', '--memory', '4k', id], { engine });
  expect([status, stderr]).toEqual([1, expect.stringMatching(/limit 4096 is below the \d+ bytes/)]);
  expect(read('memory.max')).toBe('67108864');
});

test('device rules hold for what is opened, and an update takes their place', () => {
  const id = newId();
  // A number that is kept free for experiments.
  const node = { path: '/dev/nothing', type: 'c', major: 60, minor: 3 };
  const path = bundleOf((config) => {
    running('sleep', '1000')(config);
    const devices = [{ allow: false, access: 'rwm' }];
    Object.assign(config.linux ?? {}, { resources: { devices }, devices: [node] });
  });
  expect(scow(['run', '--detach', '--bundle', path, id], { engine })).toMatchObject({ status: 0 });
  const open = () =>
    scow(['exec', id, 'sh', '-c', 'head -c1 /dev/zero | wc -c; : </dev/nothing'], { engine });
  expect(open()).toMatchObject({ stdout: '1\n', stderr: expect.stringMatching(/not permitted/) });
  const allow = { allow: true, type: 'c', major: 60, minor: 3, access: 'r' };
  const input = JSON.stringify({ devices: [allow] });
  expect(scow(['update', '-r', '-', id], { engine, input })).toMatchObject({ status: 0 });
  expect(open()).toMatchObject({ stdout: '1\n', stderr: expect.stringMatching(/No such device/) });
});

test('limits of block devices are in their files, and the scheduler BFQ has its own', () => {
  expect(modprobe('--all', 'loop', 'bfq')).toBe('');
  try {
    const loop = { major: 7, minor: 0 };
    const { id, read } = start({
      blockIO: {
        weight: 300,
        throttleReadBpsDevice: [{ ...loop, rate: 1048576 }],
        throttleWriteIOPSDevice: [{ ...loop, rate: 100 }],
      },
    });
    expect(read('io.bfq.weight')).toBe('default 300');
    expect(read('io.max')).toBe('7:0 rbps=1048576 wbps=max riops=max wiops=100');
    const input = JSON.stringify({
      blockIO: { weight: 10, throttleReadBpsDevice: [{ ...loop, rate: 0 }] },
    });
    expect(scow(['update', '-r', '-', id], { engine, input })).toMatchObject({ stderr: '' });
    expect(read('io.bfq.weight')).toBe('default 10');
    expect(read('io.max')).toBe('7:0 rbps=max wbps=max riops=max wiops=100');
  } finally {
    modprobe('-r', 'bfq');
  }
});

/** @returns what is complained of */
function modprobe(...args: string[]): string {
  return spawnSync('modprobe', args, { encoding: 'utf8' }).stderr;
}
