import type { Mount, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { AT, FSCONFIG, MS } from '../linux/constants.ts';
import { absolute, BindMounts, change, copySymlink, inContainer, type Source } from './bind.ts';
import { copyUp } from './copy-up.ts';
import type { Facts, PlanOptions } from './facts.ts';
import { emptyFilesystem } from './masks.ts';
import { labelParameter, labelQueue } from './mount-label.ts';
import {
  attributes,
  type MountOptions,
  type Parameter,
  parseMountOptions,
} from './mount-options.ts';
import type { Namespaces } from './namespaces.ts';
import type { DescriptorRequest } from './plan.ts';
import { remount } from './remount.ts';
import { call, flags, type Origin, result, type Step, type Value } from './step.ts';
import {
  attach,
  cloneTree,
  notInProc,
  openTarget,
  relative,
  setAttributes,
  type Target,
} from './targets.ts';

/** Filesystems that show the kernel's state: never mounted through a symlink of the image. */
const KERNEL_FILESYSTEMS = new Set(['proc', 'sysfs']);

/** All mounts of a config.json. */
export class Mounts {
  private readonly config: RuntimeConfig;
  private readonly facts: Facts;
  private readonly options: PlanOptions;
  private readonly namespaces: Namespaces;
  private readonly binds: BindMounts;
  readonly descriptors: DescriptorRequest[] = [];
  /** What must be done before the container's root covers that of the host. */
  readonly earlySteps: Step[] = [];
  readonly steps: Step[] = [];
  /** Changes that wait until everything else is in place: read-only ones are filled first. */
  readonly lateSteps: Step[] = [];

  constructor(config: RuntimeConfig, facts: Facts, options: PlanOptions, namespaces: Namespaces) {
    this.config = config;
    this.facts = facts;
    this.options = options;
    this.namespaces = namespaces;
    this.binds = new BindMounts(config, facts, options, namespaces);
    for (const [i, mount] of (config.mounts ?? []).entries()) this.add(mount, i);
  }

  private add(mount: Mount, index: number): void {
    const pointer = `/mounts/${index}`;
    const parsed = parseMountOptions(mount, pointer);
    const what = parsed.bind ? mount.source : mount.type;
    const origin = { pointer, why: `mount ${what} on ${mount.destination}` };
    const text = parsed.copySymlink ? this.symlinkAt(mount) : undefined;
    if (text !== undefined) this.steps.push(...this.link(mount, text, index));
    else if (parsed.remount) {
      const target = this.target(mount, parsed, 'directory', pointer);
      this.steps.push(...remount(mount, parsed, target, pointer));
    } else this.mount(mount, parsed, index, origin);
  }

  private mount(mount: Mount, parsed: MountOptions, index: number, origin: Origin): void {
    const { pointer } = origin;
    const source = this.source(mount, parsed, index, origin);
    const destination = `${pointer}/destination`;
    this.descriptors.push(...source.descriptors);
    this.earlySteps.push(...(source.early ?? []));
    this.steps.push(
      ...source.steps,
      openTarget(this.target(mount, parsed, source.type, pointer), 'target', {
        pointer: destination,
        why: `open the mount point ${mount.destination}`,
      }),
      ...(parsed.destinationNofollow
        ? [notInProc(result('target'), { pointer: destination, why: origin.why })]
        : []),
      ...(parsed.copyUp ? this.fill(source.mount, mount, parsed, origin) : []),
      attach(source.mount, result('target'), origin),
      ...parsed.propagation.map(({ type, recursive }) =>
        setAttributes(source.mount, { propagation: type, recursive }, origin),
      ),
    );
  }

  private fill(tmpfs: Value, mount: Mount, parsed: MountOptions, origin: Origin): Step[] {
    return [
      ...copyUp(result('target'), tmpfs, mount, parsed, origin.pointer),
      ...change(tmpfs, parsed.below, true, origin),
    ];
  }

  /** What the symlink says that is a bind mount's source. */
  private symlinkAt(mount: Mount): string | undefined {
    return this.facts.symlinks?.get(absolute(mount.source ?? '', this.options.bundle));
  }

  private link(mount: Mount, text: string, index: number): Step[] {
    const origin = {
      pointer: `/mounts/${index}/destination`,
      why: `make the symlink ${mount.destination}`,
    };
    const parts = relative(inContainer(mount.destination, this.facts.rootfs)).split('/');
    const name = parts.pop() as string;
    const path = `/${parts.join('/')}`;
    const resolved = this.facts.destinations.get(path)?.resolved ?? path;
    const target: Target = { path, resolved, type: 'directory' };
    const parent = openTarget(target, 'directory of a link', origin);
    return copySymlink(text, parent, name, index, origin);
  }

  private target(
    mount: Mount,
    { destinationNofollow: nofollow }: MountOptions,
    type: 'directory' | 'file',
    pointer: string,
  ): Target {
    const path = inContainer(mount.destination, this.facts.rootfs);
    const resolved = this.facts.destinations.get(mount.destination)?.resolved ?? path;
    if (relative(resolved) === '.')
      throw new Error(
        `cannot mount on ${mount.destination}: that is the root filesystem itself, which /root/path chooses  [${pointer}/destination]`,
      );
    return {
      path,
      resolved,
      type,
      symlinks: KERNEL_FILESYSTEMS.has(mount.type ?? '') ? 'refuse' : 'follow',
      nofollow,
    };
  }

  private source(mount: Mount, parsed: MountOptions, index: number, origin: Origin): Source {
    const name = `mount ${index}`;
    if (parsed.bind) return this.binds.plan(mount, index, parsed, name, origin);
    if (mount.type === 'cgroup' || mount.type === 'cgroup2')
      return this.cgroup(mount, parsed, name, origin);
    return this.filesystem(mount, mount.type ?? '', parsed, name, origin);
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
    const late = isFilled(mount) && parsed.own.set.includes('RDONLY');
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
      ...labelQueue(this.config, type, result(name)),
      ...(parsed.copyUp ? [] : change(result(name), parsed.below, true, origin)),
    ];
    return { descriptors: [], steps, mount: result(name), type: 'directory' };
  }

  /** A tmpfs takes the permissions of the directory that it covers, unless told otherwise. */
  private parameters(mount: Mount, type: string, parsed: MountOptions): Parameter[] {
    const all = [...parsed.parameters, ...labelParameter(this.config, type)];
    const mode = this.facts.destinations.get(mount.destination)?.mode;
    const inherits = type === 'tmpfs' && mode !== undefined;
    if (!inherits || all.some(({ key }) => key === 'mode')) return all;
    return [...all, { key: 'mode', value: mode.toString(8), pointer: '/root/path' }];
  }

  /**
   * The cgroup hierarchy, version 2: as the cgroup namespace shows it, which is all of it for a
   * container without one. Where the kernel refuses (no user namespace owns the hierarchy), a bind
   * mount shows the same; and where there is nothing to show, an empty directory hides what of the
   * host's may lie there.
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
    const path = this.namespaces.has('cgroup') ? cgroup.path : '';
    const copy: Step[] = [
      cloneTree(AT.FDCWD, `${cgroup.mount}${path}`, true, { ...origin, result: name }),
      setAttributes(
        result(name),
        { propagation: flags('MS', MS, 'SLAVE'), recursive: true },
        origin,
      ),
      ...change(result(name), { set: parsed.own.set, clear: [] }, true, origin),
    ];
    const on = ['EPERM', 'EBUSY', 'ENOENT'];
    return {
      ...own,
      steps: [
        { kind: 'first', of: [own.steps, copy, emptyFilesystem(name, origin)], on, ...origin },
      ],
    };
  }
}

/** Devices, mount points of other mounts, or copies of files will be made in it. */
function isFilled({ destination, type }: Mount): boolean {
  return relative(destination) === 'dev' || type === 'tmpfs';
}
