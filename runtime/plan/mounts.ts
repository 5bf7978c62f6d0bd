import type { Mount, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { AT, FSCONFIG, MS } from '../linux/constants.ts';
import type { Facts, PlanOptions } from './facts.ts';
import {
  type AttributeChange,
  attributes,
  type MountOptions,
  parseMountOptions,
} from './mount-options.ts';
import type { Namespaces } from './namespaces.ts';
import type { DescriptorRequest } from './plan.ts';
import { call, flags, inherited, type Origin, result, type Step, type Value } from './step.ts';
import { attach, cloneTree, openTarget, relative, setAttributes, type Target } from './targets.ts';

/** What a mount of config.json comes down to. */
interface Source {
  readonly descriptors: DescriptorRequest[];
  readonly steps: Step[];
  /** The detached mount. */
  readonly mount: Value;
  readonly type: 'directory' | 'file';
}

/** Filesystems that show the kernel's state: never mounted through a symlink of the image. */
const KERNEL_FILESYSTEMS = new Set(['proc', 'sysfs']);

/** All mounts of a config.json. */
export class Mounts {
  private readonly facts: Facts;
  private readonly options: PlanOptions;
  private readonly namespaces: Namespaces;
  readonly descriptors: DescriptorRequest[] = [];
  readonly steps: Step[] = [];
  /** Changes that wait until everything else is in place: a read-only /dev is filled first. */
  readonly lateSteps: Step[] = [];

  constructor(config: RuntimeConfig, facts: Facts, options: PlanOptions, namespaces: Namespaces) {
    this.facts = facts;
    this.options = options;
    this.namespaces = namespaces;
    for (const [i, mount] of (config.mounts ?? []).entries()) this.add(mount, i);
  }

  private add(mount: Mount, index: number): void {
    const pointer = `/mounts/${index}`;
    const name = `mount ${index}`;
    const parsed = parseMountOptions(mount, pointer);
    const what = parsed.bind ? mount.source : mount.type;
    const origin = { pointer, why: `mount ${what} on ${mount.destination}` };
    const source = this.source(mount, parsed, name, origin);
    this.descriptors.push(...source.descriptors);
    this.steps.push(
      ...source.steps,
      openTarget(this.target(mount, source.type, pointer), 'target', {
        pointer: `${pointer}/destination`,
        why: `open the mount point ${mount.destination}`,
      }),
      attach(source.mount, result('target'), origin),
      ...parsed.propagation.map(({ type, recursive }) =>
        setAttributes(source.mount, { propagation: type, recursive }, origin),
      ),
    );
  }

  private target(mount: Mount, type: 'directory' | 'file', pointer: string): Target {
    const resolved = this.facts.destinations.get(mount.destination)?.resolved ?? mount.destination;
    if (relative(resolved) === '.')
      throw new Error(
        `cannot mount on ${mount.destination}: that is the root filesystem itself, which /root/path chooses  [${pointer}/destination]`,
      );
    return {
      path: mount.destination,
      resolved,
      type,
      symlinks: KERNEL_FILESYSTEMS.has(mount.type ?? '') ? 'refuse' : 'follow',
    };
  }

  private source(mount: Mount, parsed: MountOptions, name: string, origin: Origin): Source {
    if (parsed.bind) return this.bind(mount, parsed, name, origin);
    if (mount.type === 'cgroup' || mount.type === 'cgroup2')
      return this.cgroup(mount, parsed, name, origin);
    return this.filesystem(mount, mount.type ?? '', parsed, name, origin);
  }

  /** A copy of a mount of the host. */
  private bind(mount: Mount, parsed: MountOptions, name: string, origin: Origin): Source {
    const path = absolute(mount.source ?? '', this.options.bundle);
    const type = this.facts.sources.get(path) ?? 'directory';
    const tree = this.tree(path, parsed.recursiveBind, name, {
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
      ...change(tree.mount, parsed.own, false, origin),
      ...change(tree.mount, parsed.below, true, origin),
    ];
    return { descriptors: tree.descriptors, steps, mount: tree.mount, type };
  }

  /**
   * A detached copy of the mount at a path of the host. A privileged scow makes it: the root
   * of a user namespace may be unable to search the path. Otherwise only init may.
   */
  private tree(path: string, recursive: boolean, name: string, origin: Origin) {
    if (this.facts.privileged)
      return {
        descriptors: [
          { name, source: { kind: 'tree', path, recursive }, pointer: origin.pointer } as const,
        ],
        steps: [],
        mount: inherited(name),
      };
    const step = cloneTree(AT.FDCWD, path, recursive, { ...origin, result: name });
    return { descriptors: [], steps: [step], mount: result(name) };
  }

  /** A filesystem of its own: fsopen(2), fsconfig(2), fsmount(2). */
  private filesystem(
    mount: Mount,
    type: string,
    parsed: MountOptions,
    name: string,
    origin: Origin,
  ): Source {
    const context = result('filesystem');
    const late = mount.destination === '/dev' && parsed.own.set.includes('RDONLY');
    const set = parsed.own.set.filter((attribute) => !late || attribute !== 'RDONLY');
    if (late)
      this.lateSteps.push(setAttributes(result(name), { set: attributes(['RDONLY']) }, origin));
    const steps: Step[] = [
      call('fsopen', [type, 1], {
        pointer: `${origin.pointer}/type`,
        why: `use the filesystem ${type}`,
        result: 'filesystem',
      }),
      call('fsconfig', [context, FSCONFIG.SET_STRING, 'source', mount.source || type, 0], {
        ...origin,
        pointer: `${origin.pointer}/source`,
      }),
      ...this.parameters(mount, type, parsed).map(({ key, value, pointer }) =>
        value === undefined
          ? call('fsconfig', [context, FSCONFIG.SET_FLAG, key, 0, 0], {
              pointer,
              why: `set the option ${key} of ${type} on ${mount.destination}`,
            })
          : call('fsconfig', [context, FSCONFIG.SET_STRING, key, value, 0], {
              pointer,
              why: `set the option ${key}=${value} of ${type} on ${mount.destination}`,
            }),
      ),
      call('fsconfig', [context, FSCONFIG.CMD_CREATE, 0, 0, 0], origin),
      call('fsmount', [context, 1, attributes(set)], { ...origin, result: name }),
      ...change(result(name), parsed.below, true, origin),
    ];
    return { descriptors: [], steps, mount: result(name), type: 'directory' };
  }

  /** A tmpfs takes the permissions of the directory that it covers, unless told otherwise. */
  private parameters(mount: Mount, type: string, parsed: MountOptions) {
    const mode = this.facts.destinations.get(mount.destination)?.mode;
    const inherits = type === 'tmpfs' && mode !== undefined;
    if (!inherits || parsed.parameters.some(({ key }) => key === 'mode')) return parsed.parameters;
    return [...parsed.parameters, { key: 'mode', value: mode.toString(8), pointer: '/root/path' }];
  }

  /**
   * The cgroup hierarchy: a mount of its own in a cgroup namespace shows the container's part
   * only. Without one, or where the kernel refuses (no user namespace owns the hierarchy), a
   * bind mount of the container's cgroup shows the same.
   */
  private cgroup(mount: Mount, parsed: MountOptions, name: string, origin: Origin): Source {
    const own = this.filesystem(
      { ...mount, source: 'cgroup' },
      'cgroup2',
      { ...parsed, parameters: [] },
      name,
      origin,
    );
    const { cgroup } = this.facts;
    if (cgroup === undefined) return own;
    const copy: Step[] = [
      cloneTree(AT.FDCWD, `${cgroup.mount}${cgroup.path}`, true, { ...origin, result: name }),
      setAttributes(
        result(name),
        { propagation: flags('MS', MS, 'SLAVE'), recursive: true },
        origin,
      ),
      ...change(result(name), parsed.own, true, origin),
    ];
    if (!this.namespaces.has('cgroup')) return { ...own, steps: copy };
    const steps: Step[] = [
      { kind: 'first', of: [own.steps, copy], on: ['EPERM', 'EBUSY'], ...origin },
    ];
    return { ...own, steps };
  }
}

function change(mount: Value, wanted: AttributeChange, recursive: boolean, origin: Origin): Step[] {
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
