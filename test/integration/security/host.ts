import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testDirectory } from '../../helpers/scow.ts';

/** Names that a runtime makes, mounts on or changes in a container: in a canary, all are bait. */
const BAIT_FILES = ['null', 'zero', 'full', 'tty', 'console', 'ptmx', 'kcore', 'hosts', 'file'];
const BAIT_DIRECTORIES = ['pts', 'shm', 'mqueue', 'fs', 'fs/cgroup', 'sys', 'self', 'directory'];

/**
 * Makes a tree on the host that an attacker tries to reach: everything a runtime would touch in
 * a container is there, as a plain file or directory.
 *
 * @returns its path
 */
export function makeCanary(): string {
  const canary = join(testDirectory(), 'canary');
  mkdirSync(canary, { recursive: true, mode: 0o750 });
  for (const name of BAIT_DIRECTORIES) mkdirSync(join(canary, name), { recursive: true });
  for (const name of BAIT_FILES)
    writeFileSync(join(canary, name), `secret ${name}\n`, { mode: 0o640 });
  return canary;
}

/** Everything that can be told of a tree: types, modes, owners, times, sizes, links, contents. */
export function listTree(directory: string): string[] {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return ['', ...paths.sort()].map((path) => describe(join(directory, path), path));
}

function describe(file: string, name: string): string {
  const { mode, uid, gid, size, rdev, mtimeNs, ino, nlink } = lstatSync(file, { bigint: true });
  const type = mode & 0o170000n;
  let content = '';
  if (type === 0o120000n) content = readlinkSync(file);
  if (type === 0o100000n && size < 4096n) content = readFileSync(file, 'latin1');
  return [name, mode.toString(8), uid, gid, size, rdev, mtimeNs, ino, nlink, content].join(' ');
}

const DEVICES = 'null zero full random urandom tty console ptmx pts shm mqueue fd stdin stdout'
  .split(' ')
  .map((name) => join('/dev', name));

const PARAMETERS = [
  'kernel/hostname',
  'kernel/domainname',
  'kernel/core_pattern',
  'kernel/modprobe',
  'kernel/panic',
  'kernel/sysrq',
  'kernel/shmmni',
  'fs/mqueue/msg_max',
  'net/ipv4/ip_forward',
  'net/ipv4/ip_default_ttl',
  'vm/overcommit_memory',
].map((name) => join('/proc/sys', name));

/** What no container may change: the canary, the host's mounts, devices and kernel parameters. */
export interface Host {
  readonly canary: readonly string[];
  readonly mounts: readonly string[];
  readonly devices: readonly string[];
  readonly parameters: readonly string[];
}

/** Takes a picture of the host, to be compared with a later one. */
export function picture(canary: string): Host {
  return {
    canary: listTree(canary),
    mounts: hostMounts(),
    devices: DEVICES.filter(exists).map(describeDevice),
    parameters: PARAMETERS.filter(exists).map((file) => `${file} ${readFileSync(file, 'latin1')}`),
  };
}

/** Tests that run beside this one mount and unmount below directories of their own. */
function hostMounts(): string[] {
  return readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .map((line) => line.split(' ').slice(2).join(' '))
    .filter((line) => {
      const point = line.split(' ')[2] ?? '';
      return !point.startsWith(`${tmpdir()}/`) || point.startsWith(testDirectory());
    });
}

function exists(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

function describeDevice(file: string): string {
  const { mode, uid, gid, rdev, ino } = lstatSync(file, { bigint: true });
  return [file, mode.toString(8), uid, gid, rdev, ino].join(' ');
}

/** What a file is at the moment: the time of the last change tells of every write. */
export function fingerprint(file: string): string {
  const { ino, size, mode, ctimeNs } = statSync(file, { bigint: true });
  return [ino, size, mode, ctimeNs].join(' ');
}
