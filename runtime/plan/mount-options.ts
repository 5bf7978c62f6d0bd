import { isIdMapOption } from '../../schemas/id-map-option.ts';
import type { Mount } from '../../schemas/runtime-config.ts';
import { MOUNT_ATTR, MS } from '../linux/constants.ts';
import { type Flags, flags } from './step.ts';

type Attribute = keyof typeof MOUNT_ATTR;

/** Options that set or clear an attribute of the mount itself: mount(8), mount_setattr(2). */
const ATTRIBUTES: Readonly<Record<string, { set?: Attribute; clear?: Attribute }>> = {
  ro: { set: 'RDONLY' },
  rw: { clear: 'RDONLY' },
  nosuid: { set: 'NOSUID' },
  suid: { clear: 'NOSUID' },
  nodev: { set: 'NODEV' },
  dev: { clear: 'NODEV' },
  noexec: { set: 'NOEXEC' },
  exec: { clear: 'NOEXEC' },
  nodiratime: { set: 'NODIRATIME' },
  diratime: { clear: 'NODIRATIME' },
  nosymfollow: { set: 'NOSYMFOLLOW' },
  symfollow: { clear: 'NOSYMFOLLOW' },
  // The three ways to keep access times exclude each other: the kernel wants all cleared first.
  relatime: { set: 'RELATIME', clear: 'ATIME' },
  // Not to ask for what is the kernel's default changes nothing; strictatime does (mount(2)).
  norelatime: {},
  noatime: { set: 'NOATIME', clear: 'ATIME' },
  atime: { set: 'RELATIME', clear: 'ATIME' },
  strictatime: { set: 'STRICTATIME', clear: 'ATIME' },
  nostrictatime: { set: 'RELATIME', clear: 'ATIME' },
};

/** Options that every filesystem has: fsconfig(2) takes them by their names. */
const SUPERBLOCK: ReadonlySet<string> = new Set([
  'sync',
  'async',
  'dirsync',
  'lazytime',
  'nolazytime',
  'mand',
  'nomand',
]);

/**
 * Options that mount(2) took and fsconfig(2) has no name for: they asked the kernel to be silent,
 * or for what filesystems now do or leave without being asked.
 */
const NOTHING: ReadonlySet<string> = new Set([
  'defaults',
  'silent',
  'loud',
  'iversion',
  'noiversion',
]);

/** podman's words about a named volume, which it leaves among the options of the bind mount. */
const VOLUME: ReadonlySet<string> = new Set(['copy', 'nocopy']);

const PROPAGATION: Readonly<Record<string, keyof typeof MS>> = {
  private: 'PRIVATE',
  shared: 'SHARED',
  slave: 'SLAVE',
  unbindable: 'UNBINDABLE',
};

/** Options that change how scow mounts; the kernel knows nothing of them. */
const OWN = {
  bind: 'bind',
  rbind: 'bind',
  remount: 'remount',
  tmpcopyup: 'copyUp',
  'copy-symlink': 'copySymlink',
  'src-nofollow': 'sourceNofollow',
  'dest-nofollow': 'destinationNofollow',
} as const;

const ID_MAPPED = ['idmap', 'ridmap'];

/** Mount data of SELinux, whose values mount(8) takes in quotation marks. */
const LABELS: ReadonlySet<string> = new Set(['context', 'fscontext', 'defcontext', 'rootcontext']);

/** All options that scow understands itself, sorted; filesystems have more of their own. */
export function mountOptionNames(): string[] {
  const plain = Object.keys(ATTRIBUTES);
  const propagation = Object.keys(PROPAGATION);
  const recursive = [...plain, ...propagation].map((name) => `r${name}`);
  const own = [...Object.keys(OWN), ...ID_MAPPED];
  return [...plain, ...propagation, ...recursive, ...own, ...SUPERBLOCK, ...NOTHING].toSorted();
}

/** One parameter for the filesystem: fsconfig(2). */
export interface Parameter {
  readonly key: string;
  /** Absent for a flag. */
  readonly value?: string;
  readonly pointer: string;
}

/** What the options of a mount mean. */
export interface MountOptions {
  /** The mount is a copy of a mount that exists. */
  readonly bind: boolean;
  readonly recursiveBind: boolean;
  /** No mount is made: the one that is at the destination changes. */
  readonly remount: boolean;
  /** A tmpfs begins with what the image has in its place. */
  readonly copyUp: boolean;
  /** A source that is a symlink is made anew at the destination. */
  readonly copySymlink: boolean;
  /** A symlink is itself the source, or the destination. */
  readonly sourceNofollow: boolean;
  readonly destinationNofollow: boolean;
  /** The option that asks for an ID mapping. */
  readonly idMap?: { readonly option: string; readonly pointer: string };
  /** Attributes of this mount, and those of all mounts below it (`rro`, …). */
  readonly own: AttributeChange;
  readonly below: AttributeChange;
  readonly propagation: readonly { readonly type: Flags; readonly recursive: boolean }[];
  /** For the filesystem itself. */
  readonly parameters: readonly Parameter[];
}

/** Attributes to set and to clear. */
export interface AttributeChange {
  readonly set: readonly Attribute[];
  readonly clear: readonly Attribute[];
}

/** Attributes of which a user namespace can't take away what its creator's mounts have. */
const LOCKABLE: readonly Attribute[] = ['RDONLY', 'NOSUID', 'NODEV', 'NOEXEC'];

/**
 * The attributes of a bind mount whose options name any: as with mount(2), those that they don't
 * name are cleared, but the way to keep access times is left when none is named. Without options
 * the copy is as its source.
 *
 * @param locked attributes that the options don't name stay, for they can't be cleared
 */
export function bindAttributes(own: AttributeChange, locked: boolean): AttributeChange {
  if (own.set.length + own.clear.length === 0) return own;
  const times = own.set.some((name) => ATIMES.has(name));
  const cleared: Attribute[] = [
    ...(locked ? [] : LOCKABLE),
    'NOSYMFOLLOW',
    ...(times ? (['ATIME', 'NODIRATIME'] as const) : []),
  ];
  const clear = new Set([...own.clear, ...cleared.filter((name) => !own.set.includes(name))]);
  return { set: own.set, clear: [...clear] };
}

const ATIMES: ReadonlySet<Attribute> = new Set([
  'RELATIME',
  'NOATIME',
  'STRICTATIME',
  'NODIRATIME',
]);

/** The attributes that a bind mount's options take away, and a user namespace may not. */
export function unlocked({ clear }: AttributeChange): Attribute[] {
  return LOCKABLE.filter((name) => clear.includes(name));
}

/** The attributes as the kernel's constant. */
export function attributes(names: readonly Attribute[]): Flags {
  return flags('MOUNT_ATTR', MOUNT_ATTR, ...new Set(names));
}

/**
 * Sorts a mount's options (config.md, Linux mount options). Later options override earlier
 * ones of the same attribute, as mount(8) has it.
 *
 * @param mount an entry of `mounts`
 * @param pointer its JSON pointer
 * @throws Error naming the option that no bind mount can have
 */
export function parseMountOptions(mount: Mount, pointer: string): MountOptions {
  const own = new Attributes();
  const below = new Attributes();
  const propagation: { type: Flags; recursive: boolean }[] = [];
  const parameters: Parameter[] = [];
  const kind = new Set<string>(mount.type === 'bind' ? ['bind'] : []);
  let recursiveBind = false;
  let idMap: MountOptions['idMap'];
  for (const [i, option] of (mount.options ?? []).entries()) {
    const at = `${pointer}/options/${i}`;
    const recursive = option.startsWith('r') ? option.slice(1) : undefined;
    if (Object.hasOwn(OWN, option)) {
      kind.add(OWN[option as keyof typeof OWN]);
      recursiveBind ||= option === 'rbind';
    } else if (isIdMapOption(option)) idMap = { option, pointer: at };
    else if (Object.hasOwn(ATTRIBUTES, option)) own.apply(option);
    else if (recursive !== undefined && Object.hasOwn(ATTRIBUTES, recursive))
      below.apply(recursive);
    else if (Object.hasOwn(PROPAGATION, option))
      propagation.push({ type: propagationFlag(option), recursive: false });
    else if (recursive !== undefined && Object.hasOwn(PROPAGATION, recursive))
      propagation.push({ type: propagationFlag(recursive), recursive: true });
    else if (!NOTHING.has(option)) parameters.push({ ...parameter(option), pointer: at });
  }
  const bind = kind.has('bind');
  if (bind) refuseWords(parameters, mount);
  return {
    bind,
    recursiveBind,
    remount: kind.has('remount'),
    copyUp: kind.has('copyUp'),
    copySymlink: kind.has('copySymlink'),
    sourceNofollow: kind.has('sourceNofollow'),
    destinationNofollow: kind.has('destinationNofollow'),
    ...(idMap === undefined ? {} : { idMap }),
    own,
    below,
    propagation,
    parameters,
  };
}

class Attributes implements AttributeChange {
  set: Attribute[] = [];
  clear: Attribute[] = [];

  apply(option: string): void {
    const { set, clear } = ATTRIBUTES[option] as { set?: Attribute; clear?: Attribute };
    if (clear === 'ATIME')
      this.set = this.set.filter((name) => (MOUNT_ATTR[name] & 0x70) === 0 && name !== 'RELATIME');
    else if (clear !== undefined) this.set = this.set.filter((name) => name !== clear);
    if (set !== undefined) {
      this.clear = this.clear.filter((name) => name !== set);
      this.set.push(set);
    }
    if (clear !== undefined && !this.clear.includes(clear)) this.clear.push(clear);
  }
}

function propagationFlag(name: string): Flags {
  return flags('MS', MS, PROPAGATION[name] as keyof typeof MS);
}

function parameter(option: string): { key: string; value?: string } {
  const equals = option.indexOf('=');
  if (equals < 0) return { key: option };
  const key = option.slice(0, equals);
  const value = option.slice(equals + 1);
  return { key, value: LABELS.has(key) ? value.replace(/^"(.*)"$/, '$1') : value };
}

/**
 * A bind mount has no filesystem of its own that could take a parameter. One with a value has no
 * effect, as under mount(2); a bare word is rather a misspelt attribute, such as `noexec`.
 */
function refuseWords(parameters: readonly Parameter[], mount: Mount): void {
  const wrong = parameters.find(
    ({ key, value }) => value === undefined && !SUPERBLOCK.has(key) && !VOLUME.has(key),
  );
  if (wrong === undefined) return;
  const near = nearOption(wrong.key);
  throw new Error(
    `mount on ${mount.destination}: a bind mount has no option ${JSON.stringify(wrong.key)}` +
      `${near === undefined ? '' : ` (is "${near}" meant?)`}  [${wrong.pointer}]`,
  );
}

/** The option that may be meant by a misspelt one. */
export function nearOption(wrong: string): string | undefined {
  const all = mountOptionNames().toSorted((a, b) => a.length - b.length);
  return all.find((name) => distance(name, wrong) <= 2);
}

/** The number of letters to change, add or drop to get from one word to the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
