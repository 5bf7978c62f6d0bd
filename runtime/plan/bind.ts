import { parseIdMapOption } from '../../schemas/id-map-option.ts';
import type { Mount, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { AT, MS, O } from '../linux/constants.ts';
import type { Facts, PlanOptions } from './facts.ts';
import {
  type AttributeChange,
  attributes,
  bindAttributes,
  type MountOptions,
  unlocked,
} from './mount-options.ts';
import type { Namespaces } from './namespaces.ts';
import type { DescriptorRequest, IdMap } from './plan.ts';
import { call, flags, inherited, type Origin, result, type Step, type Value } from './step.ts';
import { cloneTree, openInRoot, relative, setAttributes } from './targets.ts';

/** What a mount of config.json comes down to. */
export interface Source {
  readonly descriptors: DescriptorRequest[];
  /** What must be done before the container's root covers that of the host. */
  readonly early?: Step[];
  readonly steps: Step[];
  /** The detached mount. */
  readonly mount: Value;
  readonly type: 'directory' | 'file';
}

/** Plans the bind mounts of a configuration. */
export class BindMounts {
  private readonly config: RuntimeConfig;
  private readonly facts: Facts;
  private readonly options: PlanOptions;
  private readonly namespaces: Namespaces;

  constructor(config: RuntimeConfig, facts: Facts, options: PlanOptions, namespaces: Namespaces) {
    this.config = config;
    this.facts = facts;
    this.options = options;
    this.namespaces = namespaces;
  }

  /**
   * A detached copy of a mount of the host.
   *
   * @param name the name of the copy's descriptor
   * @throws Error in one line when the options can't be had
   */
  plan(mount: Mount, index: number, parsed: MountOptions, name: string, origin: Origin): Source {
    const path = absolute(mount.source ?? '', this.options.bundle);
    const type = this.facts.sources.get(path) ?? 'directory';
    const tree = this.tree(index, path, parsed, name, {
      ...origin,
      pointer: `${origin.pointer}/source`,
    });
    const steps = [
      ...tree.steps,
      // A copy made from the host's mount namespace would hand mounts made here back to it.
      ...(shares(parsed)
        ? []
        : [
            setAttributes(
              tree.mount,
              { propagation: flags('MS', MS, 'SLAVE'), recursive: true },
              origin,
            ),
          ]),
      ...this.own(tree.mount, path, parsed.own, mount, origin),
      ...change(tree.mount, parsed.below, true, origin),
    ];
    return { ...tree, steps, type };
  }

  /**
   * The copy's own attributes. In a user namespace, attributes that protect the host are kept
   * (mount_namespaces(7)): by the kernel where the namespace's root made the copy, else by scow.
   */
  private own(
    tree: Value,
    path: string,
    wanted: AttributeChange,
    mount: Mount,
    origin: Origin,
  ): Step[] {
    const { privileged, nested, lockedAttributes } = this.facts;
    const kept = change(tree, bindAttributes(wanted, true), false, origin);
    if (!privileged) return kept;
    if (this.namespaces.has('user')) {
      const locked = lockedAttributes?.get(path) ?? [];
      const refused = unlocked(wanted).find((name) => locked.includes(name));
      if (refused !== undefined)
        throw new Error(
          `cannot mount ${path} on ${mount.destination} without «${refused.toLowerCase().replace('rdonly', 'ro')}», which its source has: operation not permitted in a user namespace  [${origin.pointer}/options]`,
        );
      return kept;
    }
    const all = change(tree, bindAttributes(wanted, false), false, origin);
    return nested && all.length > 0
      ? [{ kind: 'first', of: [all, kept], on: ['EPERM'], ...origin }]
      : all;
  }

  /**
   * A privileged scow makes the copy: the root of a user namespace may be unable to search the
   * path, or to map IDs. Otherwise only init may; and only it sees what the container has mounted
   * below the root filesystem. A copy of all mounts at «/» must not have the container's own root.
   */
  private tree(
    index: number,
    path: string,
    parsed: MountOptions,
    name: string,
    origin: Origin,
  ): Omit<Source, 'type'> {
    const idMap = idMapOf(this.config, index, parsed);
    if (idMap !== undefined && !this.facts.privileged)
      throw new Error(
        `cannot map the IDs of the mount on ${this.config.mounts?.[index]?.destination}: only the host's root may (mount_setattr(2)); leave idmap, uidMappings and gidMappings out  [${idMap.pointer}]`,
      );
    const nofollow = parsed.sourceNofollow;
    const recursive = parsed.recursiveBind;
    const inside = insideContainer(this.config, index, this.facts.rootfs, this.options.bundle);
    if (inside !== undefined) {
      const open = nofollow ? flags('O', O, 'PATH', 'NOFOLLOW') : flags('O', O, 'PATH');
      const steps = [
        openInRoot(inside, open, { ...origin, result: 'source' }),
        cloneTree(result('source'), '', recursive, { ...origin, result: name }),
        ...(idMap === undefined ? [] : [this.haveMapped(name, index, idMap)]),
      ];
      return { descriptors: [], steps, mount: result(name) };
    }
    if (this.facts.privileged) {
      const source = { kind: 'tree', path, recursive, ...(nofollow ? { nofollow } : {}) } as const;
      const mapped = idMap === undefined ? source : { ...source, idMap };
      const request = { name, source: mapped, pointer: origin.pointer };
      return { descriptors: [request], steps: [], mount: inherited(name) };
    }
    const step = cloneTree(AT.FDCWD, path, recursive, { ...origin, result: name }, nofollow);
    return { descriptors: [], early: [step], steps: [], mount: result(name) };
  }

  /** Only who has the privilege over the filesystem may map IDs of a mount: that is scow. */
  private haveMapped(name: string, index: number, { pointer }: IdMap): Step {
    const why = `map the IDs of the mount on ${this.config.mounts?.[index]?.destination}`;
    const send = [result(name)];
    return { kind: 'report', point: 'id-map', send, value: index, answer: {}, pointer, why };
  }
}

/** The mapping of a bind mount that is ID-mapped (config.md): its own, or the container's. */
export function idMapOf(
  { mounts = [], linux = {} }: RuntimeConfig,
  index: number,
  { idMap }: MountOptions,
): IdMap | undefined {
  const { uidMappings = [], gidMappings = [] } = mounts[index] ?? {};
  const recursive = idMap?.option.startsWith('r') ?? false;
  if (uidMappings.length > 0)
    return { recursive, uidMappings, gidMappings, pointer: `/mounts/${index}/uidMappings` };
  if (idMap === undefined) return undefined;
  const { pointer, option } = idMap;
  const maps = parseIdMapOption(option, linux);
  if (maps !== undefined) return { recursive, ...maps, pointer };
  const namespace = linux.namespaces?.find(({ type }) => type === 'user')?.path;
  if (namespace) return { recursive, namespace, pointer };
  const { uidMappings: uids = [], gidMappings: gids = [] } = linux;
  return { recursive, uidMappings: uids, gidMappings: gids, pointer };
}

/** Changes attributes of a mount, if there is anything to change. */
export function change(
  mount: Value,
  wanted: AttributeChange,
  recursive: boolean,
  origin: Origin,
): Step[] {
  if (wanted.set.length + wanted.clear.length === 0) return [];
  const set = attributes(wanted.set);
  return [setAttributes(mount, { set, clear: attributes(wanted.clear), recursive }, origin)];
}

function shares(parsed: MountOptions): boolean {
  return parsed.propagation.some(({ type }) => type.flags === MS.SHARED);
}

/** A source as config.md has it: relative paths count from the bundle. */
export function absolute(path: string, bundle: string): string {
  return path.startsWith('/') ? path : `${bundle}/${path}`;
}

/**
 * A destination as a path in the container. As with runc, one that begins with the path of the
 * root filesystem on the host may go on from there.
 */
export function inContainer(destination: string, rootfs: string): string {
  if (rootfs === '/' || !destination.startsWith(`${rootfs}/`)) return destination;
  return destination.slice(rootfs.length);
}

/**
 * The path in the container of a bind mount's source, when an earlier mount of the configuration
 * lies above, on or below it: then the source is what the container sees there.
 */
export function insideContainer(
  { mounts = [] }: RuntimeConfig,
  index: number,
  rootfs: string,
  bundle: string,
): string | undefined {
  const source = absolute(mounts[index]?.source ?? '', bundle);
  const path = inContainer(source, rootfs);
  if (path === source || path.split('/').includes('..')) return undefined;
  const inside = `${relative(path)}/`;
  const touched = mounts.slice(0, index).some(({ destination }) => {
    const point = `${relative(inContainer(destination, rootfs))}/`;
    return inside.startsWith(point) || point.startsWith(inside);
  });
  return touched ? path : undefined;
}

/** Makes a symlink at the destination, or makes sure that this very one is there. */
export function copySymlink(
  text: string,
  parent: Step,
  name: string,
  index: number,
  origin: Origin,
): Step[] {
  const bytes = Buffer.from(`${text}\0`);
  const found = { place: `link ${index}`, size: bytes.length } as const;
  const directory = result('directory of a link');
  const other = { ...origin, why: `${origin.why}: something else is there` };
  return [
    parent,
    call('symlinkat', [text, directory, name], { ...origin, tolerate: ['EEXIST'] }),
    call('readlinkat', [directory, name, found, found.size], other),
    ...Array.from(
      bytes,
      (equals, offset): Step => ({
        ...{ kind: 'check', at: found, offset, width: 1, equals, errno: 'EEXIST' },
        ...other,
      }),
    ),
  ];
}
