import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { findHierarchy } from '../../../runtime/cgroups/hierarchy.ts';
import {
  both,
  capable,
  type Edit,
  lines,
  linuxOf,
  portable,
  runBundle,
  shell,
  writable,
} from '../../helpers/container.ts';
import { MappedUser } from '../../helpers/mapped-user.ts';
import { mountAt, parseMountinfo } from '../../helpers/mountinfo.ts';
import { bundleOf, cleanUp, ENGINES, newId } from '../../helpers/scow.ts';

const user = new MappedUser();
const hierarchy = findHierarchy().mountPoint;

beforeAll(() => user.add());
afterAll(() => user.remove());
afterEach(cleanUp);

/** Takes namespaces away, and gives others. */
const namespaces =
  (add: readonly 'user'[], ...remove: string[]): Edit =>
  (config) => {
    const linux = linuxOf(config);
    const rest = (linux.namespaces ?? []).filter(({ type }) => !remove.includes(type));
    linux.namespaces = [...rest, ...add.map((type) => ({ type }))];
    if (add.length === 0) return;
    linux.uidMappings = [{ containerID: 0, hostID: 100_000, size: 1000 }];
    linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 1000 }];
  };

const cgroupOptions =
  (...options: string[]): Edit =>
  ({ mounts = [] }) => {
    for (const mount of mounts) if (mount.type === 'cgroup') mount.options = options;
  };

/** What of the hierarchy a container finds on /sys/fs/cgroup, and whether it may make a cgroup. */
const SHOW = `
  own=$(sed -n 's/^0:://p' /proc/self/cgroup)
  test -e /sys/fs/cgroup/cgroup.controllers && echo version 2
  grep -qx $$ /sys/fs/cgroup/cgroup.procs && echo at its root
  test $own != / && grep -qx $$ /sys/fs/cgroup$own/cgroup.procs && echo below
  mkdir /sys/fs/cgroup$own/made 2>/dev/null && echo made && rmdir /sys/fs/cgroup$own/made
  sed -n 's/^.* \\/sys\\/fs\\/cgroup \\(r[ow]\\).* - /\\1 /p' /proc/self/mountinfo | tail -n1 | cut -d' ' -f1,2`;

function shown(engine: 'node' | 'bun', ...edits: Edit[]): string[] {
  const bundle = bundleOf(both(portable, writable, shell(SHOW), ...edits));
  spawnSync('chown', ['-hR', '100000:100000', join(bundle, 'rootfs')]);
  const { stdout, stderr } = runBundle(engine, bundle);
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
}

describe.each(ENGINES)('a cgroup mount under %s', (engine) => {
  it('shows the container’s part, for reading or writing as it says', () => {
    expect(shown(engine)).toEqual(['version 2', 'at its root', 'ro cgroup2']);
    const own = ['version 2', 'at its root', 'made', 'rw cgroup2'];
    expect(shown(engine, cgroupOptions('nosuid'))).toEqual(own);
    expect(shown(engine, cgroupOptions('nosuid'), namespaces(['user']))).toEqual(own);
    const readOnly = ['version 2', 'at its root', 'ro cgroup2'];
    expect(shown(engine, cgroupOptions('ro'), namespaces(['user']))).toEqual(readOnly);
  });

  it('shows all of the hierarchy without a cgroup namespace', () => {
    const readOnly = ['version 2', 'below', 'ro cgroup2'];
    expect(shown(engine, namespaces([], 'cgroup'))).toEqual(readOnly);
    expect(shown(engine, namespaces(['user'], 'cgroup'))).toEqual(readOnly);
    const whole = ['version 2', 'below', 'made', 'rw cgroup2'];
    expect(shown(engine, namespaces([], 'cgroup'), cgroupOptions('nosuid'))).toEqual(whole);
  });

  it('has the attributes and the type of its options', () => {
    const options = ['ro', 'nosuid', 'nodev', 'noexec', 'noatime'];
    const found = lines(engine, 'cat /proc/self/mountinfo', cgroupOptions(...options));
    expect(mountAt(parseMountinfo(found), '/sys/fs/cgroup')).toMatchObject({
      root: '/',
      type: 'cgroup2',
      options: 'ro,nosuid,nodev,noexec,noatime',
    });
  });
});

/** CVE-2023-25809: the hierarchy of the host could be written to where the user may. */
describe.each(ENGINES)('cgroups of an ordinary user under %s', (engine) => {
  const delegated = join(hierarchy, `delegated-${process.pid}-${engine}`);

  beforeAll(() => {
    mkdirSync(delegated);
    spawnSync('chown', ['-R', `${user.uid}:${user.gid}`, delegated]);
  });
  afterAll(() => rmdirSync(delegated));

  it.each([
    ['with a cgroup namespace', [] as string[]],
    ['without a cgroup namespace', ['cgroup']],
  ])('are not changed by a container %s', (_, without) => {
    const script = `
      find /sys/fs/cgroup -type d -name 'delegated-*' 2>/dev/null | while read found; do
        mkdir $found/made 2>/dev/null && echo made $found
        (echo $$ > $found/cgroup.procs) 2>/dev/null && echo moved
      done
      mkdir /sys/fs/cgroup/made 2>/dev/null && echo made; echo done`;
    const cgroup = { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup' };
    const edit = both(shell(script), namespaces([], ...without), (config) => {
      config.mounts = (config.mounts ?? []).filter(
        ({ destination }) => destination !== '/sys/fs/cgroup',
      );
      config.mounts.push({ ...cgroup, options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'] });
    });
    const bundle = user.bundle(engine, both(capable('CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE'), edit));
    const { stdout, stderr } = user.scow(engine, ['run', newId()], bundle);
    expect({ stdout, stderr }).toEqual({ stdout: 'done\n', stderr: '' });
    expect(existsSync(join(delegated, 'made'))).toBe(false);
  });
});
