import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { AT, MNT_DETACH, MS } from '../linux/constants.ts';
import type { Facts, PlanOptions } from './facts.ts';
import { attributes } from './mount-options.ts';
import type { Namespaces } from './namespaces.ts';
import type { DescriptorRequest } from './plan.ts';
import { call, flags, inherited, type Origin, type Step } from './step.ts';
import { cloneTree, ROOT, setAttributes } from './targets.ts';

const POINTER = '/root/path';

/** Descriptors that the root filesystem needs. */
export function rootDescriptors(facts: Facts): DescriptorRequest[] {
  return facts.privileged
    ? [
        {
          name: 'root',
          source: { kind: 'tree', path: facts.rootfs, recursive: true },
          pointer: POINTER,
        },
      ]
    : [];
}

/**
 * Makes the root filesystem a mount of the container's own, whose descriptor is {@link ROOT}.
 *
 * @param inPlace hooks will look for it where the bundle has it, until {@link raiseRoot}
 */
export function mountRoot(facts: Facts, inPlace: boolean): Step[] {
  const origin = { pointer: POINTER, why: `use ${facts.rootfs} as the root filesystem` };
  return [
    facts.privileged
      ? { kind: 'set', result: 'root', value: inherited('root'), ...origin }
      : cloneTree(AT.FDCWD, facts.rootfs, true, { ...origin, result: 'root' }),
    // The copy is a peer of the host's mount where that is shared: mounts made in the
    // container would appear on the host.
    setAttributes(ROOT, { propagation: flags('MS', MS, 'SLAVE'), recursive: true }, origin),
    attachRoot(inPlace ? facts.rootfs : '/', origin),
  ];
}

/** Brings a root filesystem that was mounted in its place to where others have been from the start. */
export function raiseRoot(facts: Facts): Step[] {
  const origin = { pointer: POINTER, why: `use ${facts.rootfs} as the root filesystem` };
  return facts.rootfs === '/' ? [] : [attachRoot('/', origin)];
}

/**
 * Over «/» the host's paths stay reachable below it, for no path that begins at the root of a
 * process crosses a mount on that root.
 */
function attachRoot(path: string, origin: Origin): Step {
  const from = { flags: 4, text: 'MOVE_MOUNT_F_EMPTY_PATH' };
  return call('move_mount', [ROOT, '', AT.FDCWD, path, from], origin);
}

/** What is mounted in the container stays in its mount namespace. */
export function keepMounts(): Step[] {
  const slave = flags('MS', MS, 'SLAVE');
  const step = setAttributes(
    AT.FDCWD,
    { propagation: slave, recursive: true },
    { pointer: '/linux/rootfsPropagation', why: 'keep mounts of the container from the host' },
  );
  if (step.kind !== 'call') return [step];
  const [at, , , structure, size] = step.args;
  const args = [at ?? 0, '/', flags('AT', AT, 'RECURSIVE'), structure ?? 0, size ?? 0];
  return [{ ...step, args }];
}

/** The four values of the specification, and their recursive forms, which Docker uses. */
const PROPAGATION: Readonly<
  Record<string, { readonly type: keyof typeof MS; readonly recursive: boolean }>
> = {
  shared: { type: 'SHARED', recursive: false },
  rshared: { type: 'SHARED', recursive: true },
  slave: { type: 'SLAVE', recursive: false },
  rslave: { type: 'SLAVE', recursive: true },
  private: { type: 'PRIVATE', recursive: false },
  rprivate: { type: 'PRIVATE', recursive: true },
  unbindable: { type: 'UNBINDABLE', recursive: false },
  runbindable: { type: 'UNBINDABLE', recursive: true },
};

/**
 * Below a mere chroot the host's mounts stay, and where one of procfs is whole, a user namespace in
 * the container may mount another: without the paths that are hidden or read-only there. What may
 * not be unmounted, in a user namespace of the container's own, is covered.
 */
function hideKernelMounts({ kernelMounts = [] }: Facts): Step[] {
  return kernelMounts.map((path) => {
    const origin = { pointer: POINTER, why: `hide the host's ${path}` };
    const detach = { flags: MNT_DETACH, text: 'MNT_DETACH' };
    return {
      kind: 'first',
      of: [
        [call('umount2', [path, detach], { ...origin, tolerate: ['ENOENT'] })],
        [call('mount', ['none', path, 'tmpfs', 0, 0], origin)],
      ],
      on: ['EINVAL', 'EPERM'],
      ...origin,
    };
  });
}

/** Makes the root filesystem the root of init, and lets the host's go. */
export function enterRoot(
  config: RuntimeConfig,
  facts: Facts,
  options: PlanOptions,
  namespaces: Namespaces,
): Step[] {
  const origin = { pointer: POINTER, why: 'enter the root filesystem' };
  const steps: Step[] = [];
  if (config.root?.readonly)
    steps.push(
      setAttributes(
        ROOT,
        { set: attributes(['RDONLY']) },
        { pointer: '/root/readonly', why: 'make the root filesystem read-only' },
      ),
    );
  steps.push(call('fchdir', [ROOT], origin));
  if (options.noPivot || !namespaces.makes('mount'))
    steps.push(
      ...(namespaces.makes('mount') ? hideKernelMounts(facts) : []),
      call('chroot', ['.'], origin),
      call('chdir', ['/'], origin),
    );
  else
    steps.push(
      call('pivot_root', ['.', '.'], origin),
      call('umount2', ['.', { flags: MNT_DETACH, text: 'MNT_DETACH' }], {
        ...origin,
        why: "let the host's root filesystem go",
      }),
      call('chdir', ['/'], origin),
    );
  const propagation = config.linux?.rootfsPropagation;
  const change = propagation === undefined ? undefined : PROPAGATION[propagation];
  if (change !== undefined) {
    const { type, recursive } = change;
    steps.push(
      setAttributes(
        ROOT,
        { propagation: flags('MS', MS, type), recursive },
        { pointer: '/linux/rootfsPropagation', why: `make the root filesystem ${propagation}` },
      ),
    );
  }
  return steps;
}
