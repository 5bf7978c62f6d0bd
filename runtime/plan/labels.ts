import type { Process } from '../../schemas/runtime-config.ts';
import { MAGIC, O, RESOLVE, STATX, STATX_BASIC_STATS, STATX_SIZE } from '../linux/constants.ts';
import type { DescriptorRequest } from './plan.ts';
import { call, flags, inherited, type Origin, place, result, type Step, struct } from './step.ts';
import { OPEN_HOW_SIZE } from './targets.ts';

const APPARMOR = '/process/apparmorProfile';
const SELINUX = '/process/selinuxLabel';

/** The host's procfs: the container's could have other files in the place of these. */
export const PROC = 'proc of the host';
const FILESYSTEM = place('proc statfs', 120);
const STATUS = place('proc statx', STATX_SIZE);
const PROC_ROOT_INO = 1;

/** Descriptors that the steps of this file need. */
export function labelDescriptors(process: Process): DescriptorRequest[] {
  const pointer = process.apparmorProfile ? APPARMOR : SELINUX;
  if (!process.apparmorProfile && !process.selinuxLabel) return [];
  const source = { kind: 'open', path: '/proc', flags: O.PATH | O.DIRECTORY } as const;
  return [{ name: PROC, source, pointer }];
}

/**
 * Has the kernel confine the process by its AppArmor profile from its exec on, as
 * aa_change_onexec(3) does.
 */
export function apparmorProfile({ apparmorProfile: profile }: Process): Step[] {
  if (!profile) return [];
  const origin = {
    pointer: APPARMOR,
    why: `confine the process by the AppArmor profile ${profile}`,
  };
  return [
    ...checkProc(origin),
    {
      kind: 'first',
      // Where another security module may own the common files, AppArmor has its own.
      of: [[openAttribute('apparmor/exec', origin)], [openAttribute('exec', origin)]],
      on: ['ENOENT'],
      ...origin,
    },
    ...write(`exec ${profile}`, origin),
  ];
}

/** Gives the process its SELinux label from its exec on, as setexeccon(3) does. */
export function selinuxLabel({ selinuxLabel: label }: Process): Step[] {
  if (!label) return [];
  const origin = { pointer: SELINUX, why: `give the process the SELinux label ${label}` };
  return [...checkProc(origin), openAttribute('exec', origin), ...write(label, origin)];
}

/** Gives the label to the keys that `steps` make, as setkeycreatecon(3) does. */
export function withLabelledKeys({ selinuxLabel: label }: Process, steps: readonly Step[]): Step[] {
  if (!label) return [...steps];
  const origin = { pointer: SELINUX, why: `give the session keyring the SELinux label ${label}` };
  const open = openAttribute('keycreate', origin);
  // Nothing stands for the default again.
  const reset = [open, ...write('', origin)];
  return [...checkProc(origin), open, ...write(label, origin), ...steps, ...reset];
}

/** Makes sure that the descriptor is the root of a procfs: whatever lies on /proc is not written to. */
function checkProc(origin: Origin): Step[] {
  return [
    call('fstatfs', [inherited(PROC), FILESYSTEM], origin),
    {
      kind: 'check',
      at: FILESYSTEM,
      offset: 0,
      width: 4,
      equals: MAGIC.PROC_SUPER,
      errno: 'ENOTTY',
      ...origin,
    },
    call('statx', [inherited(PROC), '', 0x1000, STATX_BASIC_STATS, STATUS], origin),
    {
      kind: 'check',
      at: STATUS,
      offset: STATX.inode,
      width: 4,
      equals: PROC_ROOT_INO,
      errno: 'ENOTTY',
      ...origin,
    },
  ];
}

/** Opens an attribute of init itself. `thread-self` is a symlink, but no magic one. */
function openAttribute(name: string, origin: Origin): Step {
  const how = struct(
    'open_how',
    ['flags', 8, flags('O', O, 'WRONLY', 'CLOEXEC')],
    ['mode', 8, 0],
    ['resolve', 8, flags('RESOLVE', RESOLVE, 'BENEATH', 'NO_MAGICLINKS', 'NO_XDEV')],
  );
  return call('openat2', [inherited(PROC), `thread-self/attr/${name}`, how, OPEN_HOW_SIZE], {
    ...origin,
    result: 'attribute',
  });
}

/** The kernel takes one whole write for each time that an attribute is opened. */
function write(value: string, origin: Origin): Step[] {
  return [
    call('write', [result('attribute'), value, Buffer.byteLength(value)], origin),
    call('close', [result('attribute')], origin),
  ];
}
