import type { NamespaceType } from '../../schemas/runtime-config.ts';
import { AT, CLONE, O, PR } from '../linux/constants.ts';
import { NAMESPACE_FLAGS } from './namespaces.ts';
import type { DescriptorRequest } from './plan.ts';
import { call, flags, inherited, type Step } from './step.ts';

/** The name of the descriptor of the container's root directory. */
export const CONTAINER_ROOT = 'container root';

/** What the steps of {@link enterContainer} need to be born with: a pidfd of its init, and its root. */
export const ENTER_DESCRIPTORS: readonly DescriptorRequest[] = [
  { name: 'container', source: { kind: 'given' }, pointer: '' },
  { name: CONTAINER_ROOT, source: { kind: 'given' }, pointer: '' },
];

const ORIGIN = { pointer: '', why: "join the container's namespaces" };

/**
 * Who joins a mount namespace is in its root, which is not the container's when scow was in a chroot as it
 * made the container: pivot_root then left the root of the host where it was.
 */
const ENTER_ROOT: readonly Step[] = [
  call('fchdir', [inherited(CONTAINER_ROOT)], {
    pointer: '',
    why: "change to the container's root directory",
  }),
  call('chroot', ['.'], { pointer: '', why: "make the container's root directory the root" }),
];

/**
 * Brings init into namespaces of a running container, and nothing more: it becomes root of the
 * user namespace, in the container's root directory, and keeps its own credentials, limits and
 * standard streams otherwise.
 *
 * The namespaces are those of a process, not of paths, and joined all at once (setns(2) with a
 * pidfd): the user namespace comes first, while every check of the others is against the
 * privileges that init came with.
 *
 * @param namespaces those that the container does not share with scow
 */
export function enterContainer(namespaces: readonly NamespaceType[]): Step[] {
  const names = namespaces.map((type) => NAMESPACE_FLAGS[type]);
  const steps: Step[] = [
    call('prctl', [flags('PR', PR, 'SET_DUMPABLE'), 0, 0, 0, 0], {
      pointer: '',
      why: 'hide init from the processes of the container',
    }),
  ];
  if (names.length > 0)
    steps.push(call('setns', [inherited('container'), flags('CLONE', CLONE, ...names)], ORIGIN));
  if (namespaces.includes('mount')) steps.push(...ENTER_ROOT);
  if (namespaces.includes('user'))
    steps.push(call('setresgid', [0, 0, 0], ORIGIN), call('setresuid', [0, 0, 0], ORIGIN));
  if (namespaces.includes('pid')) steps.push({ kind: 'fork', ...ORIGIN });
  return steps;
}

/** Opens the container's root directory, for whatever needs a path of the container. */
export function openRoot(): Step {
  return call('openat', [AT.FDCWD, '/', flags('O', O, 'PATH', 'DIRECTORY', 'CLOEXEC'), 0], {
    pointer: '',
    why: "open the container's root directory",
    result: 'root',
  });
}
