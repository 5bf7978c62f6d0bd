import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { AT, OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from '../linux/constants.ts';
import { errnoCode } from '../linux/errno.ts';
import {
  existsSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
  tryLstat,
} from '../linux/files.ts';
import { join } from '../linux/path.ts';
import { reason } from '../linux/reason.ts';
import { syscall, trySyscall } from '../linux/syscall.ts';
import { absolute, inContainer } from '../plan/bind.ts';
import { parentOf } from '../plan/devices.ts';
import type { Caller, Destination, Facts } from '../plan/facts.ts';
import { hasCreateContainerHooks } from '../plan/hooks.ts';
import { callersNofile } from './limits.ts';
import { ignoredSignals, readProcessFacts } from './process-facts.ts';
import { findSources, warnOfRelative } from './sources.ts';

const IDENTITY = /^\s*0\s+0\s+4294967295\s*$/;
const MOST_SYMLINKS = 40;

/**
 * Reads all that planning a container needs to know of the host.
 *
 * @param bundle the bundle's absolute path
 * @param cgroup the container's cgroup, when it has one of its own
 * @throws Error in one line for a root filesystem or a mount's source that is not there
 */
export function readFacts(
  config: RuntimeConfig,
  bundle: string,
  cgroup: Facts['cgroup'] | undefined,
): Facts {
  const rootfs = findRootfs(config, bundle);
  warnOfRelative(config);
  return {
    privileged: maySeparateMounts(),
    nested: !IDENTITY.test(readFileSync('/proc/self/uid_map', 'latin1')),
    ...readProcessFacts(),
    kcore: existsSync('/proc/kcore'),
    rootfs,
    destinations: findDestinations(config, rootfs),
    ...findSources(config, bundle, rootfs),
    ...(cgroup === undefined ? {} : { cgroup }),
    ...(hasCreateContainerHooks(config) ? { caller: readCaller() } : {}),
  };
}

/** What hooks have in common with who called scow. */
export function readCaller(): Caller {
  // Before the environment: it takes a variable of the launcher's out of that.
  const openFiles = callersNofile();
  const status = readFileSync('/proc/self/status', 'latin1');
  return {
    environment: Object.entries(process.env).map(([name, value]) => `${name}=${value}`),
    umask: Number.parseInt(/^Umask:\s*([0-7]+)$/m.exec(status)?.[1] ?? '22', 8),
    ...(openFiles === undefined ? {} : { openFiles }),
    ignoredSignals: ignoredSignals(status),
  };
}

function findRootfs(config: RuntimeConfig, bundle: string): string {
  const path = absolute(config.root?.path ?? 'rootfs', bundle);
  try {
    const real = realpathSync(path);
    if (statSync(real).isDirectory()) return real;
  } catch (cause) {
    throw new Error(`cannot use ${path} as the root filesystem: ${reason(cause)}  [/root/path]`, {
      cause,
    });
  }
  throw new Error(`cannot use ${path} as the root filesystem: it is not a directory  [/root/path]`);
}

/**
 * Whether this process may copy mounts of its own namespace: nothing but a try tells. In a user
 * namespace the mount of «/» itself can't be copied without those below it, which is EINVAL.
 */
function maySeparateMounts(): boolean {
  const fd = trySyscall('open_tree', AT.FDCWD, '/', OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (fd < 0) return fd !== -errnoCode('EPERM');
  syscall('close', fd);
  return true;
}

function findDestinations(config: RuntimeConfig, rootfs: string): Map<string, Destination> {
  const mountPoints = (config.mounts ?? []).map(({ destination }) => destination);
  const links = (config.mounts ?? []).filter(({ options }) => options?.includes('copy-symlink'));
  const paths = [
    '/dev',
    config.process?.cwd ?? '/',
    ...mountPoints,
    ...links.map(({ destination }) => parentOf(inContainer(destination, rootfs))),
    ...(config.linux?.devices ?? []).map(({ path }) => parentOf(path)),
  ];
  // Most lie below each other: each entry is looked at once.
  const seen: Seen = new Map();
  return new Map(
    paths.map((path) => [path, resolveInRoot(rootfs, inContainer(path, rootfs), seen)]),
  );
}

/** Entries of file systems that were looked at, by their paths. */
type Seen = Map<string, Stats | undefined>;

/**
 * Follows a path's symlinks as if `rootfs` were «/». The answer only says where missing mount
 * points belong: init resolves every path again, confined by the kernel.
 *
 * @param seen what is known already, and then what was looked at too
 */
export function resolveInRoot(rootfs: string, path: string, seen: Seen = new Map()): Destination {
  const left = path.split('/');
  let resolved: string[] = [];
  let symlinks = 0;
  while (left.length > 0) {
    const part = left.shift() as string;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      resolved.pop();
      continue;
    }
    const to = linkAt(join(rootfs, ...resolved, part), seen);
    if (to !== undefined && symlinks++ < MOST_SYMLINKS) {
      if (to.startsWith('/')) resolved = [];
      left.unshift(...to.split('/'));
    } else {
      resolved.push(part);
    }
  }
  const found = entryAt(join(rootfs, ...resolved), seen);
  return {
    resolved: `/${resolved.join('/')}`,
    ...(found === undefined ? {} : { mode: found.mode & 0o7777 }),
  };
}

/** What cannot be looked at counts as missing: init will say why it cannot. */
function entryAt(path: string, seen: Seen): Stats | undefined {
  if (!seen.has(path)) seen.set(path, tryLstat(path));
  return seen.get(path);
}

/** Where a symlink leads; undefined when there is none, or no longer. */
function linkAt(path: string, seen: Seen): string | undefined {
  if (!entryAt(path, seen)?.isSymbolicLink()) return undefined;
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
