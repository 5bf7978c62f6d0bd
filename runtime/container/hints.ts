import type { Mount, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { FSCONFIG } from '../linux/constants.ts';
import { errnoName } from '../linux/errno.ts';
import { trySyscall } from '../linux/syscall.ts';
import { nearOption } from '../plan/mount-options.ts';
import type { CallStep, Step } from '../plan/step.ts';

/** What an errno means for a field, where the kernel's own words leave the user alone. */
interface Hint {
  readonly pointer: RegExp;
  /** Names of system calls; any, and checks too, when it is not given. */
  readonly calls?: readonly string[];
  readonly errno: string;
  readonly text: string;
}

const SYMLINK = 'a symlink of the image leads through /proc or in a circle';
const NOT_A_DIRECTORY = 'it, or something on the way to it, is a file';
const MAPS =
  'the ID maps have no 0 for the root of the container: add it to /linux/uidMappings and /linux/gidMappings';

const HINTS: readonly Hint[] = [
  {
    pointer: /^\/hooks\/startContainer\/\d+\/path$/,
    errno: 'ENOENT',
    text: 'it, or the interpreter that it names, is not in the container, whose program it is to be',
  },
  {
    pointer: /^\/hooks\/\w+\/\d+\/path$/,
    errno: 'ENOENT',
    text: 'it, or the interpreter that it names, is not on the host, whose program it is to be',
  },
  {
    pointer: /^\/hooks\/\w+\/\d+\/path$/,
    errno: 'EACCES',
    text: 'it is no file that may be executed there',
  },
  {
    pointer: /^\/hooks\/\w+\/\d+\/path$/,
    errno: 'ENOEXEC',
    text: 'it is neither a program for this machine nor a script that begins with «#!»',
  },
  {
    pointer: /^\/mounts\/\d+\/type$/,
    errno: 'ENODEV',
    text: 'the kernel has no filesystem of this name (/proc/filesystems lists them), or its module is not loaded',
  },
  {
    pointer: /^\/mounts\/\d+\/destination$/,
    errno: 'ENOTDIR',
    text: NOT_A_DIRECTORY,
  },
  {
    pointer: /^\/mounts\/\d+$/,
    calls: ['move_mount'],
    errno: 'EINVAL',
    text: 'source and destination must both be directories, or neither',
  },
  {
    pointer: /^\/mounts\/\d+\/destination$/,
    calls: ['fspick', 'mount_setattr'],
    errno: 'EINVAL',
    text: 'nothing is mounted there',
  },
  {
    pointer: /^\/mounts\/\d+$/,
    calls: ['mount_setattr'],
    errno: 'EPERM',
    text: 'its options take away what a user namespace may not: ro, nosuid, nodev, noexec or the access times of the source’s mount',
  },
  {
    pointer: /^\/linux\/namespaces\/\d+\/path$/,
    errno: 'EINVAL',
    text: 'this is no namespace, one of another type, or one that scow is in already',
  },
  {
    pointer: /^\/linux\/namespaces\/\d+$/,
    calls: ['setresuid', 'setresgid'],
    errno: 'EINVAL',
    text: MAPS,
  },
  {
    pointer: /^\/linux\/devices/,
    errno: 'EEXIST',
    text: 'the image has something else in its place: remove that, or mount a tmpfs on /dev',
  },
  {
    pointer: /^\/process\/apparmorProfile$/,
    calls: ['write'],
    errno: 'ENOENT',
    text: 'the kernel has loaded no profile of this name; apparmor_parser -r loads one',
  },
  {
    pointer: /^\/process\/selinuxLabel$/,
    calls: ['write'],
    errno: 'EINVAL',
    text: 'the policy that the kernel has loaded does not know this label',
  },
  {
    pointer: /^\/linux\/memoryPolicy$/,
    errno: 'EINVAL',
    text: 'this machine (/sys/devices/system/node/online), or the cgroup, has none of these nodes, or the kernel no such policy',
  },
  {
    pointer: /^\/linux\/sysctl\//,
    calls: ['openat2'],
    errno: 'ENOENT',
    text: 'the kernel has no such parameter, or not in this namespace',
  },
  {
    pointer: /^\/linux\/sysctl\//,
    calls: ['openat2'],
    errno: 'EACCES',
    text: 'it belongs to the host, or the kernel does not give it to user namespaces',
  },
  {
    pointer: /^\/process\/user\/additionalGids$/,
    errno: 'EPERM',
    text: 'the user namespace forbids it, for its groups are no more than your own one: map more of them in /linux/gidMappings, or leave the additional groups out',
  },
  { pointer: /^\/process\/cwd$/, errno: 'ENOTDIR', text: NOT_A_DIRECTORY },
  {
    pointer: /^\/process\/cwd$/,
    errno: 'EACCES',
    text: 'the user of the process may not enter it',
  },
  {
    pointer: /^\/process\/cwd$/,
    calls: ['chdir'],
    errno: 'ENOENT',
    text: 'it is gone, or not inside of the container',
  },
  {
    pointer: /^\/process\/terminal$/,
    errno: 'ENOTTY',
    text: 'there is no devpts: mount one on /dev/pts',
  },
  {
    pointer: /./,
    calls: ['mkdirat', 'mknodat', 'symlinkat'],
    errno: 'EROFS',
    text: 'make it in the image, whose filesystem is read-only here',
  },
  { pointer: /./, calls: ['openat2'], errno: 'ELOOP', text: SYMLINK },
  {
    pointer: /^\/linux\/seccomp$/,
    calls: ['seccomp'],
    errno: 'EINVAL',
    text: 'the kernel takes no filters (CONFIG_SECCOMP_FILTER), or not this one with these flags',
  },
  {
    pointer: /^\/linux\/seccomp$/,
    calls: ['seccomp'],
    errno: 'EBUSY',
    text: 'scow itself runs under a filter that notifies, and there can be only one',
  },
];

/**
 * What a user needs to know beyond the errno of a step that failed.
 *
 * @returns a phrase, or undefined where the errno says it all
 */
export function hintFor(
  step: Step,
  errno: number,
  config: Partial<RuntimeConfig>,
): string | undefined {
  const name = errnoName(errno);
  const mount = mountOf(step, config);
  if (step.kind === 'call' && step.name === 'fsconfig') return filesystemHint(step, name, mount);
  if (name === 'ELOOP' && (mount?.type === 'proc' || mount?.type === 'sysfs'))
    return 'it must be mounted on ordinary directory of the image, not on a symlink';
  if (step.kind === 'check' && step.pointer === '/process/cwd')
    return 'it leads out of the container';
  return HINTS.find(
    (hint) =>
      hint.errno === name &&
      hint.pointer.test(step.pointer) &&
      (hint.calls === undefined || (step.kind === 'call' && hint.calls.includes(step.name))),
  )?.text;
}

/** The mount that a step is a part of. */
function mountOf({ pointer }: Step, config: Partial<RuntimeConfig>): Mount | undefined {
  return config.mounts?.[Number(/^\/mounts\/(\d+)/.exec(pointer)?.[1] ?? -1)];
}

function filesystemHint(
  step: CallStep,
  errno: string,
  mount: Mount | undefined,
): string | undefined {
  if (mount === undefined) return undefined;
  const [, command, key, value] = step.args;
  if (command === FSCONFIG.CMD_CREATE)
    return errno === 'ENOENT' || errno === 'ENOTBLK' || errno === 'ENXIO'
      ? `its source ${JSON.stringify(mount.source ?? '')} is not there, or no block device`
      : undefined;
  if (typeof key !== 'string') return undefined;
  const given = typeof value === 'string' ? value : undefined;
  const told = kernelsWords(mount, key, given);
  const near = given === undefined ? nearOption(key) : undefined;
  return [told, near === undefined ? undefined : `is "${near}" meant?`].filter(Boolean).join('; ');
}

const MESSAGE_SIZE = 256;

/**
 * What the filesystem itself says of an option, fsopen(2): it is asked again, without init.
 * Without the privilege to ask there is no answer.
 */
function kernelsWords(mount: Mount, key: string, value: string | undefined): string | undefined {
  const context = trySyscall('fsopen', mount.type ?? '', 1);
  if (context < 0) return undefined;
  try {
    if (value === undefined) trySyscall('fsconfig', context, FSCONFIG.SET_FLAG, key, 0, 0);
    else trySyscall('fsconfig', context, FSCONFIG.SET_STRING, key, value, 0);
    const message = Buffer.alloc(MESSAGE_SIZE);
    const length = trySyscall('read', context, message, MESSAGE_SIZE);
    // A letter for its severity, a blank, and the text: «e tmpfs: Unknown parameter 'x'».
    return length > 2 ? message.toString('utf8', 2, length).trim() : undefined;
  } finally {
    trySyscall('close', context);
  }
}
