import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCgroup, NoCgroupAccess, removeCreated } from '../../../runtime/cgroups/create.ts';
import { Sandbox } from './sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox('create');
});
afterEach(() => sandbox.cleanUp());

test('missing ancestors are made, and what was made can be removed again', () => {
  mkdirSync(join(sandbox.path, 'a'));
  const path = join(sandbox.path, 'a/b/c');
  const { cgroup, created } = createCgroup(path);
  expect(cgroup.path).toBe(path);
  expect(cgroup.exists()).toBe(true);
  expect(created).toEqual([join(sandbox.path, 'a/b'), path]);
  removeCreated(created);
  expect(readdirSync(join(sandbox.path, 'a')).includes('b')).toBe(false);
  expect(existsSync(join(sandbox.path, 'a'))).toBe(true);
});

test('an empty cgroup that exists is used, and is not ours to remove', () => {
  const { path } = sandbox.make('existing');
  expect(createCgroup(path).created).toEqual([]);
});

test('removing what was made spares a cgroup that is in use by now', async () => {
  const { cgroup, created } = createCgroup(join(sandbox.path, 'a/b'));
  await sandbox.run(cgroup, 'sleep 1000');
  removeCreated(created);
  expect(cgroup.exists()).toBe(true);
});

test('a cgroup with a process in it or below is refused, with the PID', async () => {
  const cgroup = sandbox.make('used');
  const child = await sandbox.run(sandbox.make('used/below'), 'exec sleep 1000');
  expect(() => createCgroup(cgroup.path)).toThrow(
    `container's cgroup is not empty: 1 process(es) are in ${cgroup.path} (PID ${child.pid}); ` +
      'stop them, or choose another linux.cgroupsPath or container ID',
  );
  expect(cgroup.exists()).toBe(true);
});

test('a frozen cgroup is refused', () => {
  const cgroup = sandbox.make('frozen');
  cgroup.freeze();
  expect(() => createCgroup(cgroup.path)).toThrow(
    `container's cgroup unexpectedly frozen: ${cgroup.path}; thaw ${cgroup.path} first`,
  );
});

test('a frozen ancestor is named, and nothing is left below it', () => {
  const ancestor = sandbox.make('ancestor');
  ancestor.freeze();
  const path = join(ancestor.path, 'a/b');
  expect(() => createCgroup(path)).toThrow(
    `container's cgroup unexpectedly frozen: ${path}; thaw ${ancestor.path} first`,
  );
  expect(existsSync(join(ancestor.path, 'a'))).toBe(false);
});

test('a limit on the depth of cgroups is named, and nothing is left', () => {
  const limited = sandbox.make('limited');
  writeFileSync(join(limited.path, 'cgroup.max.depth'), '2');
  expect(() => createCgroup(join(limited.path, 'a/b/c'))).toThrow(/cgroup\.max\.depth/);
  expect(existsSync(join(limited.path, 'a'))).toBe(false);
});

test('the name of a control file is refused', () => {
  const path = join(sandbox.path, 'cgroup.procs');
  expect(() => createCgroup(path)).toThrow(
    `${path} cannot be used as a cgroup: not a directory (ENOTDIR)`,
  );
});

test('a folder outside of the hierarchy is refused and removed again', () => {
  const folder = mkdtempSync(join(tmpdir(), 'scow-cgroup-'));
  const path = join(folder, 'a');
  expect(() => createCgroup(path)).toThrow(`${path} cannot hold a container`);
  rmdirSync(folder);
});

test('a user without a delegated cgroup gets an error that the caller can tell', () => {
  const path = join(sandbox.path, 'a/b');
  let error: unknown;
  process.seteuid?.(65534);
  try {
    createCgroup(path);
  } catch (caught) {
    error = caught;
  } finally {
    process.seteuid?.(0);
  }
  expect(error).toBeInstanceOf(NoCgroupAccess);
  expect((error as NoCgroupAccess).message).toMatch(
    /^no permission to make cgroup .*\/a \(EACCES\): delegate a cgroup/,
  );
});
