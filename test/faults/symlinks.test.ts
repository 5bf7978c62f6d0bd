/**
 * Images in which a place that the runtime fills is a symlink. Whatever it leads to, nothing
 * outside of the container's root filesystem is made, mounted on or changed.
 */

import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Edit } from '../helpers/container.ts';
import { bundleOf, cleanUp, newId, scow } from '../helpers/scow.ts';
import { makeCanary, picture } from '../integration/security/host.ts';

afterEach(cleanUp);

/** Ways to spell the way to a directory of the host. */
const FORMS: readonly (readonly [name: string, link: (canary: string, path: string) => string])[] =
  [
    ['absolute', (canary) => canary],
    ['relative with many ..', (canary) => `${'../'.repeat(30)}${canary.slice(1)}`],
    ['through /proc/self/root', (canary) => `/proc/self/root${canary}`],
    ['through /proc/self/cwd', (canary) => `/proc/self/cwd/${'../'.repeat(30)}${canary.slice(1)}`],
    ['through /proc/1/root', (canary) => `/proc/1/root${canary}`],
    ['through /proc/self/fd', () => '/proc/self/fd/3'],
    ['dangling', () => '/nowhere/at/all'],
    ['a loop', (_, path) => path],
    ['to the root', () => '/'],
  ];

function without(...destinations: string[]): Edit {
  return (config) => {
    config.mounts = (config.mounts ?? []).filter(
      ({ destination }) => !destinations.includes(destination),
    );
  };
}

function mounting(destination: string, source?: string): Edit {
  return (config) => {
    config.mounts?.push(
      source === undefined
        ? { destination, type: 'tmpfs', source: 'tmpfs', options: ['size=64k'] }
        : { destination, type: 'bind', source, options: ['bind', 'rw'] },
    );
  };
}

const none: Edit = () => {};

/** The place that is a symlink, and the configuration that makes the runtime go there. */
const PLACES: readonly (readonly [place: string, edit: Edit])[] = [
  ['/dev', none],
  ['/dev', without('/dev', '/dev/pts', '/dev/shm', '/dev/mqueue')],
  ['/dev', without('/dev')],
  ['/proc', none],
  ['/sys', none],
  ['/sys', without('/sys')],
  ['/sys/fs', without('/sys')],
  ['/sys/fs/cgroup', without('/sys')],
  ['/dev/pts', without('/dev')],
  ['/dev/shm', without('/dev')],
  ['/dev/mqueue', without('/dev')],
  ['/dev/null', without('/dev')],
  ['/dev/tty', without('/dev', '/dev/pts')],
  ['/etc', mounting('/etc/hosts', '/proc/self/status')],
  ['/etc', mounting('/etc/file/below')],
  ['/data', mounting('/data')],
  ['/data', mounting('/data/a/b/c')],
  ['/data/a', mounting('/data/a/b/c')],
  ['/data/a/b', mounting('/data/a/b', '/proc/self/status')],
  ['/data', mounting('/x/../data/./file', '/proc/self/status')],
  [
    '/data',
    (config) => {
      if (config.process) config.process.cwd = '/data/new/directory';
    },
  ],
  [
    '/data',
    (config) => {
      if (config.linux)
        config.linux.devices = [
          { path: '/data/file', type: 'c', major: 1, minor: 5, fileMode: 0o777, uid: 7, gid: 7 },
          { path: '/data/new/pipe', type: 'p', fileMode: 0o777 },
        ];
    },
  ],
  [
    '/data',
    (config) => {
      config.linux?.maskedPaths?.push('/data/file', '/data/directory', '/data');
      config.linux?.readonlyPaths?.push('/data/file', '/data/directory', '/data');
    },
  ],
];

function imageWithLink(place: string, target: string, edit: Edit): string {
  const bundle = bundleOf((config) => {
    config.root = { path: 'rootfs', readonly: false };
    if (config.process) config.process.args = ['/bin/true'];
    edit(config);
  });
  const link = join(bundle, 'rootfs', place);
  rmSync(link, { recursive: true, force: true });
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(target, link);
  return bundle;
}

describe.each(FORMS)('a symlink %s', (_, target) => {
  test('in any place leaves the host as it was', () => {
    const canary = makeCanary();
    const before = picture(canary);
    for (const [place, edit] of PLACES) {
      const bundle = imageWithLink(place, target(canary, place), edit);
      const { status, stdout, stderr } = scow(['run', '--bundle', bundle, newId()], {
        engine: 'bun',
      });
      expect(stdout).toBe('');
      expect(stderr).toMatch(status === 0 ? /^$/ : /^scow: .+\n$/);
      expect(picture(canary)).toEqual(before);
    }
  });
});

test.each([
  ['/proc', 0],
  ['/sys', 5],
])('%s is mounted on no symlink, not even one that stays in the image', (place, index) => {
  const bundle = imageWithLink(place, 'etc', none);
  expect(scow(['run', '--bundle', bundle, newId()], { engine: 'bun' })).toMatchObject({
    status: 1,
    stdout: '',
    stderr: `scow: cannot open the mount point ${place} (openat2): too many levels of symbolic links (ELOOP): it must be mounted on ordinary directory of the image, not on a symlink  [/mounts/${index}/destination]\n`,
  });
});

test('other mounts follow symlinks as the container sees them', () => {
  const bundle = imageWithLink('/data', '/../../inside', (config) => {
    mounting('/data/new')(config);
    if (config.process) config.process.args = ['stat', '-f', '-c', '%T', '/inside/new'];
  });
  expect(scow(['run', '--bundle', bundle, newId()], { engine: 'bun' })).toMatchObject({
    status: 0,
    stdout: 'tmpfs\n',
    stderr: '',
  });
});
