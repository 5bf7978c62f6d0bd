/**
 * Another container shares a volume, or the very root filesystem, and exchanges directories and
 * files for symlinks all the time while containers are made: whatever a create sees at which
 * moment, nothing outside of the root filesystem is made, mounted on or changed.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { listenForTerminals } from '../helpers/recvtty.ts';
import {
  bundleOf,
  cleanUp,
  type EditableConfig,
  newId,
  running,
  scow,
  scowWords,
  testDirectory,
} from '../helpers/scow.ts';
import { makeCanary, picture } from '../integration/security/host.ts';

const project = process.cwd();
const swappers: ChildProcess[] = [];
/** Milliseconds for one attack: a busy machine makes fewer containers. */
const LONGEST = 5000;

let server: Server | undefined;

afterEach(() => {
  server?.close();
  server = undefined;
  for (const swapper of swappers.splice(0)) swapper.kill('SIGKILL');
  cleanUp();
});

/** Starts to exchange pairs of paths. */
async function swap(paths: readonly string[]): Promise<void> {
  const script = join(project, 'test/integration/security/swapper.ts');
  const swapper = spawn(join(project, 'node_modules/.bin/bun'), ['run', script, ...paths], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  swappers.push(swapper);
  await new Promise((resolve, reject) => {
    swapper.stdout.once('data', resolve);
    swapper.once('exit', () => reject(new Error('the swapper ended')));
  });
}

/** Makes of a name in the root filesystem one of a pair, the other of which is a symlink. */
function pair(rootfs: string, name: string, target: string): string[] {
  const other = join(rootfs, `other-${name.replaceAll('/', '-')}`);
  symlinkSync(target, other);
  return [join(rootfs, name), other];
}

interface Scenario {
  /** The process has a terminal, which somebody takes. */
  readonly terminal?: boolean;
  /** Makes a runtime go through what is exchanged. */
  readonly edit: (config: Config) => void;
  /** Prepares the root filesystem. @returns the pairs of paths to exchange */
  readonly pairs: (rootfs: string, canary: string) => string[];
}

type Config = Required<Pick<EditableConfig, 'process' | 'linux' | 'mounts'>>;

const DIRECTORIES: Scenario = {
  edit: ({ process, linux, mounts }) => {
    process.cwd = '/volume/a/new/directory';
    mounts.push(
      { destination: '/volume/a/shm', type: 'tmpfs', source: 'tmpfs' },
      { destination: '/volume/b/made/here', type: 'tmpfs', source: 'tmpfs' },
      { destination: '/volume/a/hosts', type: 'bind', source: '/proc/version', options: ['bind'] },
    );
    linux.devices = [
      { path: '/volume/a/zero', type: 'c', major: 1, minor: 5, fileMode: 0o777, uid: 7, gid: 7 },
    ];
    linux.maskedPaths = ['/volume/a/file', '/volume/a/directory'];
    linux.readonlyPaths = ['/volume/b'];
  },
  pairs: (rootfs, canary) => {
    for (const name of ['a', 'b', 'a/directory', 'a/shm'])
      mkdirSync(join(rootfs, 'volume', name), { recursive: true });
    return [
      ...pair(rootfs, 'volume/a', `${'../'.repeat(30)}${canary.slice(1)}`),
      ...pair(rootfs, 'volume/b', canary),
    ];
  },
};

/** What is mounted is what was opened, though it was something else when it was looked at. */
const SOURCES: Scenario = {
  edit: ({ mounts }) => {
    for (const [source, destination] of [
      ['rootfs/source', '/tmp'],
      ['rootfs/source', '/made/directory'],
      ['rootfs/file', '/etc/passwd'],
      ['rootfs/file', '/made/file'],
    ] as const)
      mounts.push({ destination, type: 'bind', source, options: ['rbind', 'ro', 'nosuid'] });
  },
  pairs: (rootfs, canary) => {
    mkdirSync(join(rootfs, 'source'));
    writeFileSync(join(rootfs, 'file'), '');
    return [...pair(rootfs, 'source', canary), ...pair(rootfs, 'file', join(canary, 'directory'))];
  },
};

/** The right devices with wrong permissions: these are left to be changed. */
const DEVICES: Scenario = {
  edit: (config) => {
    // Without /dev its devices are made in the image's own directory.
    config.mounts = config.mounts.filter(({ destination }) => !destination.startsWith('/dev'));
    config.linux.devices = [
      { path: '/volume/full', type: 'c', major: 1, minor: 7, fileMode: 0o777, uid: 7, gid: 7 },
    ];
  },
  pairs: (rootfs, canary) => {
    mkdirSync(join(rootfs, 'volume'));
    const mknod = (name: string, major: string, minor: string) => {
      spawnSync('mknod', ['-m', '600', join(rootfs, name), 'c', major, minor]);
      return pair(rootfs, name, join(canary, name.slice(name.lastIndexOf('/'))));
    };
    return [
      ...mknod('dev/null', '1', '3'),
      ...mknod('dev/tty', '5', '0'),
      ...mknod('volume/full', '1', '7'),
    ];
  },
};

/** In a user namespace, devices of the host are mounted on files. */
const MOUNTED_DEVICES: Scenario = {
  ...DEVICES,
  edit: (config) => {
    DEVICES.edit(config);
    config.linux.namespaces?.push({ type: 'user' });
    config.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 65536 }];
    config.linux.gidMappings = [{ containerID: 0, hostID: 0, size: 65536 }];
    config.linux.devices = [{ path: '/dev/full', type: 'c', major: 1, minor: 7 }];
  },
};

/** A volume lies where kernel parameters are written, and what is hidden there changes places. */
const PROC: Scenario = {
  edit: ({ process, linux, mounts }) => {
    process.oomScoreAdj = 100;
    mounts.push({
      destination: '/proc/sys',
      type: 'bind',
      source: 'rootfs/sys',
      options: ['bind'],
    });
    linux.sysctl = { 'net.ipv4.ip_default_ttl': '77', 'kernel.shmmni': '77' };
    linux.maskedPaths = ['/proc/sys/kernel', '/proc/sys/net/file'];
    linux.readonlyPaths = ['/proc/sys/net/directory', '/proc/sys'];
  },
  pairs: (rootfs, canary) => {
    for (const name of ['kernel', 'net/directory', 'net/ipv4'])
      mkdirSync(join(rootfs, 'sys', name), { recursive: true });
    return [...pair(rootfs, 'sys/kernel', canary), ...pair(rootfs, 'sys/net', canary)];
  },
};

/** Without mounts on /dev its terminals are found, and its console is made, in the image's own. */
const TERMINALS: Scenario = {
  terminal: true,
  edit: (config) => {
    config.process.terminal = true;
    config.mounts = config.mounts.filter(({ destination }) => !/^\/dev(?!.pts)/.test(destination));
  },
  pairs: (rootfs, canary) => {
    for (const name of ['pts', 'directory']) mkdirSync(join(rootfs, 'dev', name));
    for (const name of ['console', 'ptmx']) writeFileSync(join(rootfs, 'dev', name), '');
    return ['pts', 'console', 'ptmx'].flatMap((name) =>
      pair(rootfs, `dev/${name}`, join(canary, name)),
    );
  },
};

/** Makes containers, through another program, while names are exchanged. */
async function attack(scenario: Scenario, through: readonly string[], times: number) {
  const { edit, pairs, terminal } = scenario;
  const canary = makeCanary();
  const bundle = bundleOf((config) => {
    running('/bin/true')(config);
    config.root = { path: 'rootfs', readonly: false };
    edit(config as Config);
  });
  const names = pairs(join(bundle, 'rootfs'), canary);
  const before = picture(canary);
  await swap(names);
  const [command = '', ...first] = [...through, ...scowWords('bun')];
  const flags = terminal ? ['create', '--console-socket', await consoleSocket()] : ['run'];
  const end = performance.now() + LONGEST;
  for (let i = 0; i < times && performance.now() < end; i++) {
    const id = newId();
    const { status, stderr } = spawnSync(command, [...first, ...flags, '-b', bundle, id], {
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    expect(stderr).toMatch(status === 0 ? /^$/ : /^scow: .+\n$/);
    expect(picture(canary)).toEqual(before);
    if (terminal) scow(['delete', '--force', id], { engine: 'bun' });
  }
}

/** A socket that takes terminals. */
async function consoleSocket(): Promise<string> {
  const path = join(testDirectory(), 'console');
  server = await listenForTerminals(path);
  return path;
}

describe.each([
  ['directories', DIRECTORIES],
  ['sources of mounts', SOURCES],
  ['devices', DEVICES],
  ['devices of a user namespace', MOUNTED_DEVICES],
  ['what lies on /proc', PROC],
])('exchanges of %s', (_, scenario) => {
  test('during many creates', () => attack(scenario, [], 40));

  test('while every call that uses a path takes long', () => {
    const calls = 'mkdirat,mknodat,openat,openat2,statx,fchmodat,fchownat,move_mount,chdir';
    const inject = `inject=${calls}:delay_exit=500`;
    const strace = ['strace', '-f', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', inject];
    return attack(scenario, strace, 12);
  });
});

test('exchanges of terminals during many creates', () => attack(TERMINALS, [], 40));
