import type { Device, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { AT, O, S, STATX, STATX_BASIC_STATS, STATX_SIZE } from '../linux/constants.ts';
import type { Facts } from './facts.ts';
import { attributes } from './mount-options.ts';
import type { Namespaces } from './namespaces.ts';
import { call, flags, type Origin, place, result, type Step, type Value } from './step.ts';
import { attach, cloneTree, openInRoot, openTarget, relative, setAttributes } from './targets.ts';

/** A device node to be in the container. */
interface Node {
  readonly path: string;
  /** File type and permission bits. */
  readonly mode: number;
  readonly major: number;
  readonly minor: number;
  readonly uid: number;
  readonly gid: number;
  readonly pointer: string;
}

/** config-linux.md, Default Devices; /dev/console and /dev/ptmx are made elsewhere. */
const DEFAULTS: readonly (readonly [path: string, major: number, minor: number])[] = [
  ['/dev/null', 1, 3],
  ['/dev/zero', 1, 5],
  ['/dev/full', 1, 7],
  ['/dev/random', 1, 8],
  ['/dev/urandom', 1, 9],
  ['/dev/tty', 5, 0],
];

const LINKS: readonly (readonly [name: string, to: string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['ptmx', 'pts/ptmx'],
];

const TYPES = { c: S.IFCHR, u: S.IFCHR, b: S.IFBLK, p: S.IFIFO } as const;

/** Descriptor of the container's /dev. */
const DEV = result('dev');

/**
 * Fills /dev, unless the user supplies one from the host.
 *
 * @param spare number of a descriptor that init needs no more: some links in /proc must be named
 *   before init runs
 */
export function devices(
  config: RuntimeConfig,
  facts: Facts,
  namespaces: Namespaces,
  spare: number,
): Step[] {
  if (suppliesDev(config)) return [];
  const bind = facts.nested || namespaces.has('user');
  const taken = destinationsInFreshDev(config);
  const steps: Step[] = [
    openTarget(
      {
        path: '/dev',
        resolved: facts.destinations.get('/dev')?.resolved ?? '/dev',
        type: 'directory',
      },
      'dev',
      { pointer: '/linux/devices', why: 'open /dev of the container' },
    ),
  ];
  for (const node of nodes(config)) {
    const origin = { pointer: node.pointer, why: `make the device ${node.path}` };
    const name = node.path.slice(node.path.lastIndexOf('/') + 1);
    const fresh = taken?.has(name) === false && relative(parentOf(node.path)) === 'dev';
    if (!fresh || bind) steps.push(...openParent(node.path, facts, origin));
    if (bind) steps.push(...bindNode(node, name, origin));
    else if (fresh) steps.push(...makeFreshNode(node, name, origin));
    else steps.push(...makeNode(node, name, spare, origin));
  }
  const links = facts.kcore ? [...LINKS, ['core', '/proc/kcore'] as const] : LINKS;
  for (const [name, to] of links)
    steps.push(
      call('symlinkat', [to, DEV, name], {
        pointer: '/linux/devices',
        why: `make the link /dev/${name}`,
        tolerate: ['EEXIST'],
      }),
    );
  return steps;
}

/** The user mounts a directory of the host on /dev: nothing is made in it. */
function suppliesDev(config: RuntimeConfig): boolean {
  return (config.mounts ?? []).some(
    ({ destination, type, options }) =>
      relative(destination) === 'dev' &&
      (type === 'bind' ||
        (options ?? []).some((option) => option === 'bind' || option === 'rbind')),
  );
}

function nodeOf(device: Device, index: number): Node {
  return {
    path: device.path,
    mode: TYPES[device.type] | (device.fileMode ?? 0o666),
    major: device.major ?? 0,
    minor: device.minor ?? 0,
    uid: device.uid ?? 0,
    gid: device.gid ?? 0,
    pointer: `/linux/devices/${index}`,
  };
}

function nodes(config: RuntimeConfig): Node[] {
  const listed = config.linux?.devices ?? [];
  // Engines may list a device twice: the last one counts.
  const last = new Map(listed.map(({ path }, i) => [path, i]));
  const own = [...last.values()].map((i) => nodeOf(listed[i] as Device, i));
  const named = new Set(own.map(({ path }) => path));
  const defaults = DEFAULTS.filter(([path]) => !named.has(path)).map(([path, major, minor]) => ({
    path,
    mode: S.IFCHR | 0o666,
    major,
    minor,
    uid: 0,
    gid: 0,
    pointer: '/linux/devices',
  }));
  return [...defaults, ...own];
}

/** Opens the directory of a device as `device parent`; most are in /dev itself. */
function openParent(path: string, facts: Facts, origin: Origin): Step[] {
  const directory = parentOf(path);
  if (relative(directory) === 'dev')
    return [{ kind: 'set', result: 'device parent', value: DEV, ...origin }];
  const resolved = facts.destinations.get(directory)?.resolved ?? directory;
  return [openTarget({ path: directory, resolved, type: 'directory' }, 'device parent', origin)];
}

/** The directory that a device is in. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/**
 * The names in /dev that mounts have made, when /dev is a tmpfs of the container's own: there is
 * nothing else in it, and nobody else can reach it.
 */
function destinationsInFreshDev(config: RuntimeConfig): Set<string> | undefined {
  const mounts = (config.mounts ?? []).map((mount) => ({
    ...mount,
    at: relative(mount.destination),
  }));
  const [dev, second] = mounts.filter(({ at }) => at === 'dev');
  if (dev?.type !== 'tmpfs' || second !== undefined) return undefined;
  return new Set(
    mounts.map(({ at }) => at.split('/')).flatMap(([top, name]) => (top === 'dev' && name) || []),
  );
}

function makeFreshNode(node: Node, name: string, origin: Origin): Step[] {
  const at = flags('AT', AT, 'SYMLINK_NOFOLLOW');
  return [
    call('mknodat', [DEV, name, octal(node.mode), device(node.major, node.minor)], origin),
    call('fchownat', [DEV, name, node.uid, node.gid, at], origin),
  ];
}

/**
 * Whoever shares the root filesystem can swap the name at any time: what it stands for is
 * opened once, and all that follows is done to that.
 */
function makeNode(node: Node, name: string, spare: number, origin: Origin): Step[] {
  const parent = result('device parent');
  const made = result('device');
  const number = device(node.major, node.minor);
  return [
    call('mknodat', [parent, name, octal(node.mode), number], { ...origin, tolerate: ['EEXIST'] }),
    call('openat', [parent, name, flags('O', O, 'PATH', 'NOFOLLOW', 'CLOEXEC')], {
      ...origin,
      result: 'device',
    }),
    ...isDevice(made, '', node, origin),
    {
      kind: 'first',
      of: [isOwned(node, origin), own(made, node, spare, origin)],
      on: [WRONG],
      ...origin,
    },
  ];
}

/** Stands for «not as it should be»; no system call fails with it. */
const WRONG = 'EBADE';

/** Most are: only a set-ID bit or an ACL of the directory changes what mknod(2) was told. */
function isOwned(node: Node, origin: Origin): Step[] {
  const check = (offset: number, width: 2 | 4, equals: number): Step => ({
    kind: 'check',
    at: STATUS,
    offset,
    width,
    equals,
    errno: WRONG,
    ...origin,
  });
  return [
    check(STATX.mode, 2, node.mode),
    check(STATX.uid, 4, node.uid),
    check(STATX.gid, 4, node.gid),
  ];
}

function own(made: Value, node: Node, spare: number, origin: Origin): Step[] {
  const mode = octal(node.mode & 0o7777);
  return [
    {
      kind: 'first',
      of: [
        [call('fchmodat2', [made, '', mode, flags('AT', AT, 'EMPTY_PATH')], origin)],
        // Before Linux 6.6. The root directory is still the host's, and /proc with it.
        [
          call('dup3', [made, spare, O.CLOEXEC], origin),
          call('fchmodat', [AT.FDCWD, `/proc/self/fd/${spare}`, mode], origin),
        ],
      ],
      on: ['ENOSYS'],
      ...origin,
    },
    call('fchownat', [made, '', node.uid, node.gid, flags('AT', AT, 'EMPTY_PATH')], origin),
  ];
}

const STATUS = place('statx', STATX_SIZE);

/** What is there already must be the device itself, not something that goes by its name. */
export function isDevice(
  parent: Value,
  name: string,
  node: Pick<Node, 'mode' | 'major' | 'minor'>,
  origin: Origin,
): Step[] {
  const at = name === '' ? flags('AT', AT, 'EMPTY_PATH') : flags('AT', AT, 'SYMLINK_NOFOLLOW');
  const check = (offset: number, width: 2 | 4, equals: number, mask?: number): Step => ({
    kind: 'check',
    at: STATUS,
    offset,
    width,
    equals,
    errno: 'EEXIST',
    ...(mask === undefined ? {} : { mask }),
    ...origin,
  });
  return [
    call('statx', [parent, name, at, STATX_BASIC_STATS, STATUS], origin),
    check(STATX.mode, 2, node.mode & S.IFMT, S.IFMT),
    check(STATX.rdevMajor, 4, node.major),
    check(STATX.rdevMinor, 4, node.minor),
  ];
}

/** In a user namespace no device can be made: the host's own is mounted on an empty file. */
function bindNode(node: Node, name: string, origin: Origin): Step[] {
  return [
    call('mknodat', [result('device parent'), name, octal(S.IFREG | 0o644), 0], {
      ...origin,
      tolerate: ['EEXIST'],
    }),
    call('openat', [AT.FDCWD, node.path, flags('O', O, 'PATH', 'CLOEXEC')], {
      ...origin,
      why: `open the host's ${node.path}`,
      result: 'host device',
    }),
    ...isDevice(result('host device'), '', node, origin),
    cloneTree(result('host device'), '', false, { ...origin, result: 'device' }),
    setAttributes(result('device'), { set: attributes(['NOSUID', 'NOEXEC']) }, origin),
    openInRoot(node.path, flags('O', O, 'PATH', 'NOFOLLOW'), { ...origin, result: 'target' }),
    attach(result('device'), result('target'), origin),
  ];
}

/** makedev(3) as the kernel's mknod takes it. */
function device(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

function octal(mode: number): { flags: number; text: string } {
  return { flags: mode, text: `0${mode.toString(8)}` };
}
