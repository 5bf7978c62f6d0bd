/** Volumes and mounts that an attacker has filled, in places that the runtime uses. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from '../../../schemas/runtime-config.ts';
import { bind } from '../../helpers/container.ts';
import {
  bundleOf,
  cleanUp,
  type EditableConfig,
  newId,
  type Result,
  scow,
  testDirectory,
} from '../../helpers/scow.ts';
import { listTree, makeCanary, picture } from './host.ts';

afterEach(cleanUp);

/** Runs a script in a container with these mounts, in the place of those that they cover. */
function run(script: string, mounts: readonly Mount[], edit = (_: EditableConfig) => {}): Result {
  const bundle = bundleOf((config) => {
    config.root = { path: 'rootfs', readonly: false };
    if (config.process) config.process.args = ['sh', '-c', script];
    const covered = mounts.map(({ destination }) => destination);
    const others = (config.mounts ?? []).filter(
      ({ destination }) => !covered.includes(destination),
    );
    config.mounts = [...others, ...(mounts as typeof others)];
    edit(config);
  });
  return scow(['run', '--bundle', bundle, newId()], { engine: 'bun' });
}

function volume(name: string): string {
  const path = join(testDirectory(), name);
  mkdirSync(path);
  return path;
}

/** CVE-2019-16884, CVE-2019-19921: settings that went to files of a volume were not made. */
test('a volume on /proc gets none of what is written to the kernel', () => {
  const fake = volume('proc');
  for (const directory of ['self/attr/apparmor', 'thread-self/attr/apparmor', 'sys/kernel/sem'])
    mkdirSync(join(fake, directory), { recursive: true });
  for (const name of ['self/attr/exec', 'self/attr/apparmor/exec', 'thread-self/attr/exec'])
    writeFileSync(join(fake, name), '');
  writeFileSync(join(fake, 'sys/kernel/shmmni'), 'of the volume\n');
  const before = listTree(fake);
  const { status, stdout } = run(
    'mkdir /real; mount -t proc proc /real; cat /real/sys/kernel/shmmni /proc/sys/kernel/shmmni',
    [bind(fake, '/proc')],
    ({ linux, process }) => {
      if (linux) linux.sysctl = { 'kernel.shmmni': '1234' };
      if (process?.capabilities?.bounding) {
        process.capabilities.bounding = ['CAP_SYS_ADMIN'];
        process.capabilities.effective = ['CAP_SYS_ADMIN'];
        process.capabilities.permitted = ['CAP_SYS_ADMIN'];
      }
    },
  );
  expect({ status, stdout }).toEqual({ status: 0, stdout: '1234\nof the volume\n' });
  expect(listTree(fake)).toEqual(before);
});

/** CVE-2025-31133: what hides a path came from a /dev/null that the attacker had replaced. */
test('paths are hidden with the null device of the host, whatever the container’s is', () => {
  const canary = makeCanary();
  const dev = volume('dev');
  symlinkSync(join(canary, 'file'), join(dev, 'null'));
  symlinkSync('/proc/sys/kernel/hostname', join(dev, 'zero'));
  const before = picture(canary);
  const { status, stdout, stderr } = run(
    'stat -c "%F %t:%T" /proc/keys /etc/secret; echo lost > /proc/keys; cat /proc/keys; ls -l /dev/null | grep -c canary',
    [bind(dev, '/dev')],
    ({ linux }) => {
      linux?.maskedPaths?.push('/etc/secret', '/etc/passwd');
    },
  );
  expect({ status, stdout }).toMatchObject({
    status: 0,
    stdout: 'character special file 1:3\n1\n',
  });
  expect(stderr).toContain('/etc/secret');
  expect(picture(canary)).toEqual(before);
});

/** config-linux.md has devices made in /dev: in one of the host, that would be the host's. */
test('nothing is made in a /dev of the host', () => {
  const dev = volume('dev');
  spawnSync('mknod', [join(dev, 'only'), 'c', '1', '3']);
  const before = listTree(dev);
  const { status, stdout, stderr } = run(
    'ls /dev; echo lost > /dev/only && echo written',
    [bind(dev, '/dev', 'rprivate')],
    (config) => {
      config.mounts =
        config.mounts?.filter(({ destination }) => !destination.startsWith('/dev/')) ?? [];
    },
  );
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'only\nwritten\n', stderr: '' });
  expect(listTree(dev)).toEqual(before);
});

/** Options that make a symlink be used itself, or be made, keep to the container. */
test('symlinks in the way of a symlink lead into the image', () => {
  const canary = makeCanary();
  const before = picture(canary);
  const source = volume('source');
  symlinkSync(canary, join(source, 'link'));
  const bundle = bundleOf((config) => {
    config.root = { path: 'rootfs', readonly: false };
    if (config.process) config.process.args = ['find', '/inside', '-name', 'new*'];
    const link = join(source, 'link');
    config.mounts?.push(
      { destination: '/way/new', type: 'bind', source: link, options: ['bind', 'copy-symlink'] },
      {
        destination: '/way/new-too',
        type: 'bind',
        source: link,
        options: ['bind', 'src-nofollow', 'dest-nofollow'],
      },
      { destination: '/way/new-tmpfs', type: 'tmpfs', source: 't', options: ['tmpcopyup'] },
    );
  });
  const rootfs = join(bundle, 'rootfs');
  mkdirSync(join(rootfs, 'inside'));
  symlinkSync('../../../../../../inside', join(rootfs, 'way'));
  const { status, stdout, stderr } = scow(['run', '--bundle', bundle, newId()], { engine: 'bun' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.trimEnd().split('\n').toSorted()).toEqual([
    '/inside/new',
    '/inside/new-tmpfs',
    '/inside/new-too',
  ]);
  expect(picture(canary)).toEqual(before);
});
