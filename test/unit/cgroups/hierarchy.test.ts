import { cgroup2Mounts, pathBelowMount, unifiedPath } from '../../../runtime/cgroups/hierarchy.ts';
import { containerCgroupPath } from '../../../runtime/cgroups/path.ts';

describe('mounts of cgroup v2 in mountinfo', () => {
  test('are found beside those of version 1, with optional fields and without', () => {
    const text = [
      '24 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw',
      '31 24 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755',
      '32 31 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 master:3 - cgroup2 cgroup2 rw,nsdelegate',
      '33 31 0:28 / /sys/fs/cgroup/memory rw,nosuid shared:10 - cgroup cgroup rw,memory',
      '34 24 0:27 /a /mnt/part ro - cgroup2 none rw',
      '',
    ].join('\n');
    expect(cgroup2Mounts(text)).toEqual([
      { mountPoint: '/sys/fs/cgroup/unified', root: '/', readOnly: false },
      { mountPoint: '/mnt/part', root: '/a', readOnly: true },
    ]);
  });

  test('have spaces, tabs, newlines and backslashes in their names', () => {
    const line = String.raw`40 24 0:27 /x\040y /mnt/a\040b\011c\012d\134e rw - cgroup2 none rw`;
    expect(cgroup2Mounts(line)).toEqual([
      { mountPoint: '/mnt/a b\tc\nd\\e', root: '/x y', readOnly: false },
    ]);
  });

  test('are not confused by a directory named cgroup2', () => {
    const line = '40 24 0:27 / /mnt/cgroup2 rw - tmpfs cgroup2 rw';
    expect(cgroup2Mounts(line)).toEqual([]);
  });
});

describe('the own cgroup', () => {
  test('is read from the line of the unified hierarchy', () => {
    expect(unifiedPath('9:memory:/v1\n0::/user.slice/a:b\n')).toBe('/user.slice/a:b');
  });

  test('is missing on a machine with version 1 only: one clear line', () => {
    expect(() => unifiedPath('9:memory:/v1\n')).toThrow(/^this process is in no cgroup v2 .*boot/);
  });

  test.each([
    ['/', '/', '/'],
    ['/a/b', '/', '/a/b'],
    ['/a/b', '/a', '/b'],
    ['/a', '/a', '/'],
    ['/../a', '/..', '/a'],
  ])('%s under a mount of %s is %s', (path, root, expected) => {
    expect(pathBelowMount(path, { mountPoint: '/m', root })).toBe(expected);
  });

  test.each([
    ['/ab', '/a'],
    ['/', '/a'],
    ['/../a', '/'],
    ['/a', '/..'],
    ['/..', '/'],
  ])('%s is not shown by a mount of %s', (path, root) => {
    expect(() => pathBelowMount(path, { mountPoint: '/m', root })).toThrow(
      `the cgroup v2 mount at /m shows ${root}, but scow itself is in ${path}`,
    );
  });
});

describe('the path of a container’s cgroup', () => {
  const at = (cgroupsPath: string) =>
    containerCgroupPath({ id: 'c1', cgroupsPath }, { mountPoint: '/m', root: '/' });

  test('starts at the mount point when cgroupsPath is absolute', () => {
    expect(at('/a/b')).toBe('/a/b');
    expect(at('//a/./b/')).toBe('/a/b');
  });

  test.each(['/../x', '/a/../b', '../x', 'a/..', '..'])('refuses %s', (path) => {
    expect(() => at(path)).toThrow(/contains "\.\."/);
    expect(() => at(path)).toThrow('[/linux/cgroupsPath]');
  });

  test.each(['/', '//', './', '/.'])('refuses %s, which names the root', (path) => {
    expect(() => at(path)).toThrow(/names no cgroup below the root/);
  });

  test('refuses names that no cgroup can have', () => {
    expect(() => at('/a\nb')).toThrow(/newline or NUL/);
  });
});
