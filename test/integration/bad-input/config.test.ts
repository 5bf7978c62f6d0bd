/**
 * Configurations that cannot become a container: each is refused with one line that says what
 * failed, on what, why and what to do, and with the JSON pointer; nothing is left behind.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bind } from '../../helpers/container.ts';
import { bundleOf, cleanUp, scow, testDirectory } from '../../helpers/scow.ts';
import { type Edit, ENGINES, failureOf, lineOf, whole } from './failing.ts';

afterEach(cleanUp);

const tmpfs = (destination: string, ...options: string[]) => ({
  destination,
  type: 'tmpfs',
  source: 'tmpfs',
  options,
});

const join_: (type: 'network' | 'pid' | 'user', path: string) => Edit =
  (type, path) =>
  ({ linux }) => {
    linux.namespaces = (linux.namespaces ?? []).filter((namespace) => namespace.type !== type);
    linux.namespaces.push({ type, path });
  };

const mapping: (uid: number, gid: number) => Edit =
  (uid, gid) =>
  ({ linux, process }) => {
    linux.namespaces?.push({ type: 'user' });
    linux.uidMappings = [{ containerID: uid, hostID: uid, size: 1 }];
    linux.gidMappings = [{ containerID: gid, hostID: gid, size: 1 }];
    process.user = { uid, gid };
  };

const without: (type: string) => Edit =
  (type) =>
  ({ linux }) => {
    linux.namespaces = (linux.namespaces ?? []).filter((namespace) => namespace.type !== type);
  };

/** What is wrong, and what the line must say; `BUNDLE` stands for the bundle's path. */
const CONFIGURATIONS: Readonly<Record<string, readonly [edit: Edit, line: string | RegExp]>> = {
  'an unknown capability': [
    ({ process }) => {
      process.capabilities = { bounding: ['CAP_FOO' as 'CAP_KILL'] };
    },
    /^BUNDLE\/config.json: \/process\/capabilities\/bounding\/0: "CAP_FOO"; allowed: /,
  ],
  'a mount label without SELinux': [
    ({ linux }) => {
      linux.mountLabel = 'a:b:c';
    },
    'cannot give mounts the SELinux label a:b:c: the kernel does not run SELinux (there is no selinuxfs on /sys/fs/selinux); leave the label out  [/linux/mountLabel]',
  ],
  'a root filesystem that is not there': [
    (config) => {
      config.root = { path: 'none' };
    },
    'cannot use BUNDLE/none as the root filesystem: no such file or directory (ENOENT)  [/root/path]',
  ],
  'a root filesystem that is a file': [
    (config) => {
      config.root = { path: 'config.json' };
    },
    'cannot use BUNDLE/config.json as the root filesystem: it is not a directory  [/root/path]',
  ],
  'no root filesystem': [
    (config) => {
      delete (config as { root?: unknown }).root;
    },
    'BUNDLE/config.json: /root: missing; allowed: an object',
  ],
  'no process': [
    (config) => {
      delete (config as { process?: unknown }).process;
    },
    /process/,
  ],
  'a process without a working directory': [
    ({ process }) => {
      delete (process as { cwd?: unknown }).cwd;
    },
    'BUNDLE/config.json: /process/cwd: missing; allowed: an absolute path',
  ],
  'a working directory that is a file': [
    ({ process }) => {
      process.cwd = '/etc/passwd';
    },
    'cannot find or make the working directory /etc/passwd (openat2): not a directory (ENOTDIR): it, or something on the way to it, is a file  [/process/cwd]',
  ],
  'a working directory below a file': [
    ({ process }) => {
      process.cwd = '/etc/passwd/below/it';
    },
    'cannot find or make the working directory /etc/passwd/below/it (openat2): not a directory (ENOTDIR): it, or something on the way to it, is a file  [/process/cwd]',
  ],
  'a mount whose source is not there': [
    ({ mounts }) => {
      mounts.push(bind('/none/at/all', '/tmp'));
    },
    'cannot mount /none/at/all on /tmp: no such file or directory (ENOENT)  [/mounts/7/source]',
  ],
  'a mount whose relative source is not there': [
    ({ mounts }) => {
      mounts.push(bind('none', '/tmp'));
    },
    'cannot mount BUNDLE/none on /tmp: no such file or directory (ENOENT)  [/mounts/7/source]',
  ],
  'a bind mount without a source': [
    ({ mounts }) => {
      mounts.push({ destination: '/tmp', type: 'bind', options: ['bind'] });
    },
    'cannot mount on /tmp: a bind mount needs a source  [/mounts/7/source]',
  ],
  'a mount without a destination': [
    ({ mounts }) => {
      mounts.push({ type: 'tmpfs', source: 'tmpfs' } as (typeof mounts)[0]);
    },
    'BUNDLE/config.json: /mounts/7/destination: missing; allowed: a path in the container',
  ],
  'a misspelt option of a bind mount': [
    ({ mounts }) => {
      mounts.push(bind('/etc', '/tmp', 'ro', 'nosiud'));
    },
    'mount on /tmp: a bind mount has no option "nosiud" (is "nosuid" meant?)  [/mounts/7/options/2]',
  ],
  'an unknown option of a tmpfs': [
    ({ mounts }) => {
      mounts.push(tmpfs('/tmp', 'szie=64k'));
    },
    "cannot set the option szie=64k of tmpfs on /tmp (fsconfig): invalid argument (EINVAL): tmpfs: Unknown parameter 'szie'  [/mounts/7/options/0]",
  ],
  'a misspelt flag of a tmpfs': [
    ({ mounts }) => {
      mounts.push(tmpfs('/tmp', 'size=64k', 'nodve'));
    },
    'cannot set the option nodve of tmpfs on /tmp (fsconfig): invalid argument (EINVAL): tmpfs: Unknown parameter \'nodve\'; is "nodev" meant?  [/mounts/7/options/1]',
  ],
  'a wrong value of an option of a tmpfs': [
    ({ mounts }) => {
      mounts.push(tmpfs('/tmp', 'size=64x'));
    },
    "cannot set the option size=64x of tmpfs on /tmp (fsconfig): invalid argument (EINVAL): tmpfs: Bad value for 'size'  [/mounts/7/options/0]",
  ],
  'an unknown filesystem': [
    ({ mounts }) => {
      mounts.push({ destination: '/tmp', type: 'tmpsf', source: 'x' });
    },
    'cannot use the filesystem tmpsf (fsopen): no such device (ENODEV): the kernel has no filesystem of this name (/proc/filesystems lists them), or its module is not loaded  [/mounts/7/type]',
  ],
  'a directory on a file': [
    ({ mounts }) => {
      mounts.push(tmpfs('/etc/passwd'));
    },
    'cannot open the mount point /etc/passwd (openat2): not a directory (ENOTDIR): it, or something on the way to it, is a file  [/mounts/7/destination]',
  ],
  'a file on a directory': [
    ({ mounts }) => {
      mounts.push(bind('/proc/version', '/etc'));
    },
    'cannot mount /proc/version on /etc (move_mount): invalid argument (EINVAL): source and destination must both be directories, or neither  [/mounts/7]',
  ],
  'a mount on the root': [
    ({ mounts }) => {
      mounts.push(tmpfs('/'));
    },
    'cannot mount on /: that is the root filesystem itself, which /root/path chooses  [/mounts/7/destination]',
  ],
  'a hostname in the UTS namespace of the host': [
    without('uts'),
    'BUNDLE/config.json: /hostname: "scow"; allowed: a hostname only with a namespace of type "uts" in /linux/namespaces',
  ],
  'no mount namespace': [
    without('mount'),
    'a mount namespace is missing: the container would change the mounts of the host  [/linux/namespaces]',
  ],
  'a namespace that is not there': [
    join_('network', '/run/netns/none'),
    /^cannot open the network namespace \/run\/netns\/none: no such file or directory \(ENOENT\) {2}\[\/linux\/namespaces\/\d\/path\]$/,
  ],
  'a namespace that is a file': [
    join_('pid', '/etc/passwd'),
    /^cannot join the pid namespace \/etc\/passwd \(setns\): invalid argument \(EINVAL\): this is no namespace, .* {2}\[\/linux\/namespaces\/\d\/path\]$/,
  ],
  'a namespace of another type': [
    join_('network', '/proc/self/ns/uts'),
    /^cannot join the network namespace \/proc\/self\/ns\/uts \(setns\): .*another type.* {2}\[\/linux\/namespaces\/\d\/path\]$/,
  ],
  'a namespace that is a FIFO which nobody writes': [
    ({ linux }) => {
      const fifo = join(testDirectory(), 'fifo');
      spawnSync('mkfifo', [fifo]);
      linux.namespaces?.push({ type: 'user', path: fifo });
    },
    /^cannot join the user namespace .*\/fifo \(setns\): .*\[\/linux\/namespaces\/\d\/path\]$/,
  ],
  'a user of the process that is not mapped': [
    (config) => {
      mapping(1000, 0)(config);
      config.process.user.uid = 0;
    },
    'BUNDLE/config.json: /process/user/uid: 0; allowed: an ID of the container that /linux/uidMappings maps',
  ],
  'a root of the user namespace that is not mapped': [
    mapping(1000, 0),
    /^cannot become root of the user namespace .*: the ID maps have no 0 .*\/linux\/uidMappings.* {2}\[\/linux\/namespaces\/\d\]$/,
  ],
  'a limit beyond what there is': [
    ({ process }) => {
      process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 1e10, hard: 1e10 }];
    },
    'cannot set RLIMIT_NOFILE to 10000000000, at most 10000000000: operation not permitted (EPERM): it is more than scow itself may have, or than the kernel allows (fs.nr_open)  [/process/rlimits/0]',
  ],
  'a soft limit above the hard one': [
    ({ process }) => {
      process.rlimits = [{ type: 'RLIMIT_CPU', soft: 10, hard: 1 }];
    },
    'BUNDLE/config.json: /process/rlimits/0/soft: 10; allowed: an integer up to the hard limit, 1',
  ],
  'an architecture whose bytes are in another order than this one has': [
    ({ linux }) => {
      linux.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_S390X'] };
    },
    /^libseccomp [\d.]+ cannot add SCMP_ARCH_S390X: .+ {2}\[\/linux\/seccomp\/architectures\/0\]$/,
  ],
  'a limit that cgroup v2 does not have': [
    ({ linux }) => {
      linux.resources = { memory: { swappiness: 60 } };
    },
    /\/linux\/resources\/memory\/swappiness is not in cgroup v2/,
  ],
  'a class of service that is not there': [
    ({ linux }) => {
      linux.intelRdt = { closID: 'scow-none' };
    },
    /^(no resctrl filesystem is mounted: .* {2}\[\/linux\/intelRdt\]|there is no class of service .*closID\])$/,
  ],
  'a cgroup outside of the hierarchy': [
    ({ linux }) => {
      linux.cgroupsPath = '/a/../../b';
    },
    'linux.cgroupsPath "/a/../../b" contains "..": name the cgroup by its path without it  [/linux/cgroupsPath]',
  ],
  'a cgroup below a file': [
    ({ linux }) => {
      linux.cgroupsPath = '/cgroup.procs/below';
    },
    /^cannot make cgroup .*\/cgroup.procs\/below: not a directory \(ENOTDIR\)/,
  ],
  'a device in the place of a file': [
    ({ linux }) => {
      linux.devices = [{ path: '/etc/passwd', type: 'c', major: 1, minor: 3 }];
    },
    /^cannot make the device \/etc\/passwd: file exists \(EEXIST\): the image has something else in its place: .*\[\/linux\/devices\/0\]$/,
  ],
  'a version that does not exist yet': [
    (config) => {
      config.ociVersion = '2.0.0';
    },
    'BUNDLE/config.json: /ociVersion: "2.0.0"; allowed: a version 1.x.y (SemVer), such as "1.3.0"',
  ],
  'a terminal without anybody to hold it': [
    ({ process }) => {
      process.terminal = true;
    },
    'a terminal needs --console-socket, for nobody would hold it when scow has ended; or set it to false  [/process/terminal]',
  ],
};

test.each(Object.entries(CONFIGURATIONS))('%s', (_, [edit, line]) => {
  const bundle = bundleOf(whole(edit));
  const said = failureOf(bundle).replaceAll(bundle, 'BUNDLE');
  if (typeof line === 'string') expect(said).toBe(line);
  else expect(said).toMatch(line);
});

describe.each(ENGINES)('the file (%s)', (engine) => {
  const fileOf = (content: string) => {
    const bundle = bundleOf();
    writeFileSync(join(bundle, 'config.json'), content);
    return failureOf(bundle, { engine }).replaceAll(bundle, 'BUNDLE');
  };

  test.each([
    ['', 'BUNDLE/config.json: the file is empty; it must hold a JSON object'],
    ['[]', 'BUNDLE/config.json: the file holds an array; it must hold a JSON object'],
    ['{ "a": 1,\n\n oops }', /^BUNDLE\/config.json: not JSON: line 3, column 2: "oops" where /],
    ['{"ociVersion":"1.0.2"}', /^BUNDLE\/config.json: \/root: missing/],
  ])('holds %j', (content, line) => {
    const said = fileOf(content);
    if (typeof line === 'string') expect(said).toBe(line);
    else expect(said).toMatch(line);
  });

  test('is no file', () => {
    const bundle = bundleOf();
    const file = join(bundle, 'config.json');
    rmSync(file);
    expect(failureOf(bundle, { engine })).toBe(
      `${file} does not exist: name the bundle's directory with --bundle, or change to it`,
    );
    mkdirSync(file);
    expect(failureOf(bundle, { engine })).toBe(`cannot read ${file}: is a directory (EISDIR)`);
    rmSync(file, { recursive: true });
    spawnSync('mkfifo', [file]);
    expect(failureOf(bundle, { engine })).toContain('the file is empty');
  });

  test('has several mistakes: all are told', () => {
    const bundle = bundleOf(
      whole((config) => {
        config.hostname = 'x'.repeat(65);
        config.process.cwd = 'relative';
      }),
    );
    const { status, stdout, stderr } = scow(['create', '-b', bundle, 'x'], { engine });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('/hostname: ');
    expect(stderr).toContain('/process/cwd: "relative"; allowed: an absolute path');
  });

  test('is in no bundle', () => {
    expect(lineOf(scow(['create', '-b', '/none', 'x'], { engine }))).toMatch(
      /^\/none\/config.json does not exist: /,
    );
    expect(lineOf(scow(['create', 'x'], { engine, cwd: testDirectory() }))).toContain(
      `${testDirectory()}/config.json does not exist: name the bundle's directory with --bundle, or change to it`,
    );
  });
});

/**
 * As in runc and crun, what is missing in the root filesystem of a mount point or working
 * directory is made there, and stays: another container may be using it by then. This is so
 * also when a later step fails.
 */
test('mount points and working directories that were made stay', () => {
  const bundle = bundleOf(
    whole(({ mounts, process }) => {
      mounts.push(tmpfs('/made/for/mount'), bind('/proc/version', '/made/file'));
      process.cwd = '/made/for/work';
      process.args = ['/none'];
    }),
  );
  expect(lineOf(scow(['create', '-b', bundle, 'x'], { engine: 'bun' }))).toContain('"/none"');
  const made = spawnSync('find', ['made', '-printf', '%y %m %p\n'], {
    cwd: join(bundle, 'rootfs'),
    encoding: 'utf8',
  });
  expect(made.stdout.trim().split('\n').sort()).toEqual([
    'd 755 made',
    'd 755 made/for',
    'd 755 made/for/mount',
    'd 755 made/for/work',
    'f 644 made/file',
  ]);
});
