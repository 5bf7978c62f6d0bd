import type { Mount, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { lstatSync, readlinkSync, type Stats, statSync } from '../linux/files.ts';
import { reason } from '../linux/reason.ts';
import { trySyscall } from '../linux/syscall.ts';
import { absolute, insideContainer } from '../plan/bind.ts';
import type { Facts } from '../plan/facts.ts';
import { type MountOptions, parseMountOptions, unlocked } from '../plan/mount-options.ts';
import { warn } from './log.ts';

/**
 * Looks at the sources of all bind mounts.
 *
 * @throws Error in one line for one that is not there
 */
export function findSources(
  config: RuntimeConfig,
  bundle: string,
  rootfs: string,
): Pick<Facts, 'sources' | 'symlinks' | 'lockedAttributes'> {
  const sources = new Map<string, 'directory' | 'file'>();
  const symlinks = new Map<string, string>();
  const lockedAttributes = new Map<string, readonly string[]>();
  const inUser = config.linux?.namespaces?.some(({ type }) => type === 'user');
  for (const [i, mount] of (config.mounts ?? []).entries()) {
    const parsed = parseMountOptions(mount, `/mounts/${i}`);
    if (!parsed.bind || parsed.remount) continue;
    warnOfValues(mount, parsed);
    const path = absolute(sourceOf(mount, i), bundle);
    const inside = insideContainer(config, i, rootfs, bundle) !== undefined;
    const found = look(mount, i, path, parsed, inside);
    // What the container sees there by then is not known yet.
    if (found === undefined) continue;
    sources.set(path, found.isDirectory() ? 'directory' : 'file');
    if (parsed.copySymlink && found.isSymbolicLink()) symlinks.set(path, readlinkSync(path));
    if (inUser && unlocked(parsed.own).length > 0) lockedAttributes.set(path, attributesAt(path));
  }
  return { sources, symlinks, lockedAttributes };
}

function warnOfValues({ destination }: Mount, { parameters }: MountOptions): void {
  for (const { key, value, pointer } of parameters)
    if (value !== undefined)
      warn(`mount on ${destination}: a bind mount has no ${key} of its own  [${pointer}]`);
}

/** config.md: a relative destination is deprecated, and taken from the root. */
export function warnOfRelative({ mounts = [] }: RuntimeConfig): void {
  for (const [i, { destination }] of mounts.entries())
    if (!destination.startsWith('/'))
      warn(
        `mount destination ${destination} is not absolute: it is taken from /  [/mounts/${i}/destination]`,
      );
}

function sourceOf({ source, destination }: Mount, index: number): string {
  if (source) return source;
  throw new Error(
    `cannot mount on ${destination}: a bind mount needs a source  [/mounts/${index}/source]`,
  );
}

function look(
  mount: Mount,
  index: number,
  path: string,
  { copySymlink, sourceNofollow }: MountOptions,
  inside: boolean,
): Stats | undefined {
  try {
    return copySymlink || sourceNofollow ? lstatSync(path) : statSync(path);
  } catch (cause) {
    if (inside) return undefined;
    throw new Error(
      `cannot mount ${path} on ${mount.destination}: ${reason(cause)}  [/mounts/${index}/source]`,
      { cause },
    );
  }
}

/** statfs(2): where `f_flags` is, and its flags by the names of the attributes. */
const STATFS = { size: 120, flags: 80 } as const;
const ST = { RDONLY: 1, NOSUID: 2, NODEV: 4, NOEXEC: 8 } as const;

/** The attributes of the mount that a path is on. */
function attributesAt(path: string): string[] {
  const found = Buffer.alloc(STATFS.size);
  if (trySyscall('statfs', path, found) < 0) return [];
  const flags = Number(found.readBigUInt64LE(STATFS.flags));
  return Object.entries(ST).flatMap(([name, bit]) => ((flags & bit) === 0 ? [] : [name]));
}
