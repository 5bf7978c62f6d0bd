import { once } from 'node:events';
import { closeSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { fileOf, isAlive, Sandbox, until } from './sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox('cgroup');
});
afterEach(() => sandbox.cleanUp());

/** A hundred processes that keep forking, half of them in a cgroup below. */
async function forkBomb(cgroup: Cgroup): Promise<number[]> {
  const below = sandbox.make('bomb/below');
  const burst = 'i=0; while [ $i -lt 50 ]; do (while :; do sleep 0.1; done) & i=$((i+1)); done';
  await sandbox.run(cgroup, `${burst}; wait`);
  await sandbox.run(below, `${burst}; wait`);
  await until(() => cgroup.processes({ recursive: true }).length >= 102);
  return cgroup.processes({ recursive: true });
}

describe('processes', () => {
  test('are added, and listed with and without those of cgroups below', async () => {
    const outer = sandbox.make('outer');
    const inner = sandbox.make('outer/a/b');
    expect(outer.populated()).toBe(false);
    const first = await sandbox.run(outer, 'sleep 1000');
    const second = await sandbox.run(inner, 'sleep 1000');
    await until(() => outer.processes({ recursive: true }).length === 4);
    expect(outer.processes({ recursive: false })).toContain(first.pid);
    expect(outer.processes({ recursive: false })).not.toContain(second.pid);
    expect(outer.processes({ recursive: true })).toContain(second.pid);
    expect(outer.populated()).toBe(true);
    expect(readFileSync(`/proc/${second.pid}/cgroup`, 'utf8')).toMatch(/\/outer\/a\/b\n/);
  });

  test('of a threaded cgroup are listed once', async () => {
    const domain = sandbox.make('domain');
    const threaded = sandbox.make('domain/threaded');
    writeFileSync(join(threaded.path, 'cgroup.type'), 'threaded');
    const child = await sandbox.run(domain, 'exec sleep 1000');
    writeFileSync(join(threaded.path, 'cgroup.threads'), String(child.pid));
    expect(domain.processes({ recursive: true })).toEqual([child.pid]);
  });

  test('that do not exist can’t be added: one clear line', () => {
    const cgroup = sandbox.make('a');
    expect(() => cgroup.addProcess(2 ** 22 + 1)).toThrow(
      `cannot move process ${2 ** 22 + 1} into cgroup ${cgroup.path}: cgroup.procs: no such process`,
    );
  });
});

describe('freezing', () => {
  test('stops every process below, and thawing lets them go on', async () => {
    const cgroup = sandbox.make('bomb');
    await forkBomb(cgroup);
    cgroup.freeze();
    expect(fileOf(cgroup, 'cgroup.events')).toContain('frozen 1');
    expect(fileOf(Cgroup.at(join(cgroup.path, 'below')), 'cgroup.events')).toContain('frozen 1');
    expect(cgroup.isFrozen()).toBe(true);
    const pids = cgroup.processes({ recursive: true });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(cgroup.processes({ recursive: true })).toEqual(pids);
    cgroup.thaw();
    expect(fileOf(cgroup, 'cgroup.events')).toContain('frozen 0');
    expect(cgroup.isFrozen()).toBe(false);
    await until(() => `${cgroup.processes({ recursive: true })}` !== `${pids}`);
  });

  test('by an ancestor is told from the cgroup’s own, and named', async () => {
    const ancestor = sandbox.make('ancestor');
    const cgroup = sandbox.make('ancestor/a/b');
    await sandbox.run(cgroup, 'sleep 1000');
    expect(cgroup.frozenBy()).toBeUndefined();
    ancestor.freeze();
    expect(cgroup.isFrozen()).toBe(false);
    expect(cgroup.frozenBy()).toBe(ancestor.path);
    expect(() => cgroup.thaw()).toThrow(
      `cgroup ${cgroup.path} stays frozen, because ${ancestor.path} above it is frozen`,
    );
    ancestor.thaw();
    expect(cgroup.frozenBy()).toBeUndefined();
  });

  test('an empty cgroup works too', () => {
    const cgroup = sandbox.make('empty');
    cgroup.freeze();
    expect(cgroup.frozenBy()).toBe(cgroup.path);
    cgroup.thaw();
    expect(cgroup.isFrozen()).toBe(false);
  });
});

describe('killing', () => {
  test.each([
    ['running', (_: Cgroup) => {}],
    ['frozen', (cgroup: Cgroup) => cgroup.freeze()],
  ])('leaves nothing of a hundred %s, forking processes', async (_, prepare) => {
    const cgroup = sandbox.make('bomb');
    const pids = await forkBomb(cgroup);
    prepare(cgroup);
    cgroup.kill();
    expect(cgroup.waitUntilEmpty()).toBe(true);
    expect(cgroup.processes({ recursive: true })).toEqual([]);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test('leaves processes outside alone', async () => {
    const beside = await sandbox.run(sandbox.make('beside'), 'exec sleep 1000');
    const above = await sandbox.run(sandbox.make('above'), 'exec sleep 1000');
    const child = await sandbox.run(sandbox.make('above/killed'), 'exec sleep 1000');
    const exit = once(child, 'exit');
    Cgroup.at(join(sandbox.path, 'above/killed')).kill();
    expect(await exit).toEqual([null, 'SIGKILL']);
    expect(isAlive(beside.pid as number)).toBe(true);
    expect(isAlive(above.pid as number)).toBe(true);
  });
});

describe('removal', () => {
  test('takes along the cgroups that the container left', () => {
    const cgroup = sandbox.make('c');
    for (const name of ['c/a/b/c', 'c/a/d', 'c/x y', 'c/ü']) sandbox.make(name);
    cgroup.remove();
    expect(existsSync(cgroup.path)).toBe(false);
  });

  test('waits for processes to end, and does not touch them', async () => {
    const cgroup = sandbox.make('c');
    const child = await sandbox.run(sandbox.make('c/below'), 'sleep 0.5; exit 7');
    const exit = once(child, 'exit');
    cgroup.remove();
    expect(existsSync(cgroup.path)).toBe(false);
    expect(await exit).toEqual([7, null]);
  });

  test('ends with the PIDs of processes that stay; empty cgroups beside them go', async () => {
    const cgroup = sandbox.make('c');
    const child = await sandbox.run(sandbox.make('c/busy'), 'exec sleep 1000');
    sandbox.make('c/empty');
    expect(() => cgroup.remove(100)).toThrow(
      `cannot remove cgroup ${cgroup.path}: processes are still in it after 100 ms (PID ${child.pid})`,
    );
    expect(isAlive(child.pid as number)).toBe(true);
    expect(existsSync(join(cgroup.path, 'empty'))).toBe(false);
  });

  test('follows a kill of frozen processes', async () => {
    const cgroup = sandbox.make('bomb');
    await forkBomb(cgroup);
    cgroup.freeze();
    cgroup.kill();
    cgroup.remove();
    expect(existsSync(cgroup.path)).toBe(false);
  });
});

test('of a cgroup that does not exist, everything that asks or ends is quiet', () => {
  const cgroup = Cgroup.at(join(sandbox.path, 'none'));
  expect(cgroup.exists()).toBe(false);
  expect(cgroup.populated()).toBe(false);
  expect(cgroup.isFrozen()).toBe(false);
  expect(cgroup.frozenBy()).toBeUndefined();
  expect(cgroup.processes({ recursive: true })).toEqual([]);
  expect(cgroup.waitUntilEmpty()).toBe(true);
  cgroup.kill();
  cgroup.remove();
  expect(() => cgroup.freeze()).toThrow(
    `cannot freeze cgroup ${cgroup.path}: cgroup.freeze: the cgroup does not exist`,
  );
});

test('the descriptor for clone3 is an O_PATH one that no program inherits', () => {
  const fd = sandbox.make('c').open();
  const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
  closeSync(fd);
  expect(Number.parseInt(flags as string, 8) & 0o12000000).toBe(0o12000000);
});

test('delegation gives the directory and the kernel’s list of files, and no other', () => {
  const cgroup = sandbox.make('c');
  cgroup.delegateTo(12345);
  const list = readFileSync('/sys/kernel/cgroup/delegate', 'utf8').split('\n');
  expect(statSync(cgroup.path).uid).toBe(12345);
  for (const file of readdirSync(cgroup.path)) {
    const { uid, gid } = statSync(join(cgroup.path, file));
    expect({ file, uid, gid }).toEqual({ file, uid: list.includes(file) ? 12345 : 0, gid: 0 });
  }
});
