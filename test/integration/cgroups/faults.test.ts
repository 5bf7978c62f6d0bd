import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { applySettings } from '../../../runtime/cgroups/apply.ts';
import { applyDeviceRules } from '../../../runtime/cgroups/attach.ts';
import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { enableControllers } from '../../../runtime/cgroups/controllers.ts';
import { createCgroup } from '../../../runtime/cgroups/create.ts';
import { findHierarchy } from '../../../runtime/cgroups/hierarchy.ts';
import type { Setting } from '../../../runtime/cgroups/settings.ts';
import { explainBirth } from '../../../runtime/container/birth.ts';
import { bundleOf, cleanUp, newId, running, scow } from '../../helpers/scow.ts';
import { script, startedFrom } from '../exec/support.ts';
import { fileOf, isAlive, Sandbox, until } from './sandbox.ts';

const REMOVE = join(process.cwd(), 'test/integration/cgroups/remove.ts');
const BUN = join(process.cwd(), 'node_modules/.bin/bun');
const { mountPoint } = findHierarchy();

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox('faults');
});
afterEach(async () => {
  await sandbox.cleanUp();
  cleanUp();
});

/** Needs the hugetlb controller, which the tests' machine has in version 2 whatever else it has. */
const PAGES: Setting = { file: 'hugetlb.2MB.max', value: '4194304', pointer: '/pages' };

test('a cgroup below a threaded one is refused before anything is in it', () => {
  writeFileSync(join(sandbox.make('domain/threaded').path, 'cgroup.type'), 'threaded');
  const { path } = Cgroup.at(join(sandbox.path, 'domain'));
  expect(() => createCgroup(join(path, 'c'))).toThrow(
    `${path}/c cannot hold a container: the cgroup above it is threaded, for threads of one process only`,
  );
  expect(existsSync(join(path, 'c'))).toBe(false);
  expect(() => createCgroup(join(path, 'threaded'))).toThrow(
    `${path}/threaded cannot hold a container: it is a threaded cgroup`,
  );
});

test('a controller that was disabled since is enabled again', () => {
  const cgroup = sandbox.make('above/c');
  enableControllers(mountPoint, cgroup.path);
  writeFileSync(join(sandbox.path, 'above/cgroup.subtree_control'), '-hugetlb');
  expect(existsSync(join(cgroup.path, PAGES.file))).toBe(false);
  applySettings(cgroup, [PAGES]);
  expect(fileOf(cgroup, PAGES.file)).toBe('4194304');
});

test('controllers are left alone where there are processes, and that is told', async () => {
  const above = sandbox.make('above');
  const cgroup = sandbox.make('above/c');
  await sandbox.run(above, 'exec sleep 1000');
  enableControllers(mountPoint, cgroup.path);
  expect(fileOf(above, 'cgroup.subtree_control')).toBe('');
  expect(() => applySettings(cgroup, [PAGES])).toThrow(
    `the hugetlb controller is not enabled in ${above.path}/cgroup.subtree_control: ` +
      `there are processes in ${above.path} itself; move them into a cgroup below it  [/pages]`,
  );
});

test('a cgroup that somebody removed is told as that', () => {
  const cgroup = sandbox.make('c');
  const { path } = cgroup;
  rmdirSync(path);
  const why = 'it was removed meanwhile, and not by scow';
  expect(() => applySettings(cgroup, [PAGES])).toThrow(
    `cannot set hugetlb.2MB.max of cgroup ${path}: ${why}  [/pages]`,
  );
  expect(() => applyDeviceRules(cgroup, [{ allow: false, access: 'rwm' }])).toThrow(
    `cannot set the device rules of cgroup ${path}: ${why}  [/linux/resources/devices]`,
  );
  const birth = () => {
    try {
      return cgroup.open();
    } catch (error) {
      throw explainBirth(error as Error, cgroup);
    }
  };
  expect(birth).toThrow(`cannot start init in cgroup ${path}: ${why}  [/linux/cgroupsPath]`);
});

test('one that is busy without a process is removed when it is not any more', () => {
  const { path } = sandbox.make('c');
  const remove = (script: string, limit: number) => {
    const command = `mount --bind "$0" "$0"; ${script} "$1" run "$2" "$0" ${limit}`;
    const args = ['--mount', '--propagation', 'private', 'sh', '-c', command, path, BUN, REMOVE];
    return spawnSync('unshare', args, { encoding: 'utf8' }).stdout;
  };
  expect(remove('', 50)).toBe(
    `cannot remove cgroup ${path}: no process is in it, but the kernel still uses it after 50 ms (EBUSY): ` +
      'cgroups are being made in it, or something is mounted on it\n',
  );
  expect(remove('(sleep 0.3; umount "$0") &', 10_000)).toBe('');
  expect(existsSync(path)).toBe(false);
});

test('a container does not get a cgroup in which others are, and they stay', async () => {
  const cgroup = sandbox.make('theirs');
  const { pid = 0 } = await sandbox.run(cgroup, 'exec sleep 1000');
  const bundle = bundleOf((config) => {
    Object.assign(config.linux ?? {}, { cgroupsPath: cgroup.path.slice(mountPoint.length) });
  });
  const { status, stderr } = scow(['create', '--bundle', bundle, newId()], { engine: 'bun' });
  expect([status, stderr]).toEqual([1, expect.stringContaining(`${cgroup.path} (PID ${pid})`)]);
  expect(isAlive(pid)).toBe(true);
});

test('a delegated cgroup is its container’s to divide, and exec follows init into its part', async () => {
  const program =
    'cd /sys/fs/cgroup && mkdir init && echo 1 > init/cgroup.procs && echo +hugetlb > cgroup.subtree_control && exec sleep 1000';
  const bundle = bundleOf((config) => {
    running('sh', '-c', program)(config);
    const { namespaces = [] } = config.linux ?? {};
    const mapping = [{ containerID: 0, hostID: 100_000, size: 1000 }];
    Object.assign(config.linux ?? {}, {
      namespaces: [...namespaces, { type: 'user' }],
      uidMappings: mapping,
      gidMappings: mapping,
    });
    const mounts = config.mounts ?? [];
    const mount = mounts.find(({ destination }) => destination === '/sys/fs/cgroup');
    Object.assign(mount ?? {}, { options: ['rw', 'nosuid', 'noexec', 'nodev'] });
  });
  const id = startedFrom('bun', bundle);
  const { pid } = JSON.parse(scow(['state', id], { engine: 'bun' }).stdout) as { pid: number };
  const inits = () => /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'latin1'))?.[1] ?? '';
  // Not by an exec, whose process would be in the way of the last step.
  await until(() => inits().endsWith('/init'));
  const own = Cgroup.at(dirname(join(mountPoint, inits())));
  await until(() => fileOf(own, 'cgroup.subtree_control') === 'hugetlb');
  expect(script('bun', id, 'grep ^0:: /proc/self/cgroup')).toEqual(['0::/init']);
  const owner = (file: string) => statSync(join(own.path, file)).uid;
  const files = ['', 'cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads'];
  expect(files.map(owner)).toEqual(files.map(() => 100_000));
  expect(owner('cgroup.freeze')).toBe(0);
});
