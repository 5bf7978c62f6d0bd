import type { Process, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { PR, PR_CAP_AMBIENT } from '../linux/constants.ts';
import { capabilityNumber } from './capabilities.ts';
import type { Facts } from './facts.ts';
import { call, flags, result, type Step, struct, type Value } from './step.ts';

const USER = '/process/user';
const CAPABILITIES = '/process/capabilities';
/** crun's annotation, with which podman keeps the groups of the user who calls it (keep-groups). */
export const KEEP_GROUPS = 'run.oci.keep_original_groups';
const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
const CAP_SYS_ADMIN = 1n << 21n;

/** What credentials depend on. */
type CredentialFacts = Pick<Facts, 'lastCapability' | 'seccomp'>;

/**
 * The identity of the process: bounding set, groups, IDs, the other capability sets, in the
 * order in which each still has the privilege that it needs (capabilities(7)).
 */
export function credentials(
  config: RuntimeConfig,
  process: Process,
  facts: CredentialFacts,
): Step[] {
  const keep = (on: 0 | 1) =>
    call('prctl', [flags('PR', PR, 'SET_KEEPCAPS'), on, 0, 0, 0], {
      pointer: CAPABILITIES,
      why: 'keep capabilities while the user changes',
    });
  return [
    ...boundingSet(process, facts),
    keep(1),
    ...groups(config, process),
    ...ids(process),
    keep(0),
    ...capabilitySets(process, keepsAdmin(process, facts) ? CAP_SYS_ADMIN : 0n),
  ];
}

/**
 * Without no_new_privs only CAP_SYS_ADMIN may load a seccomp filter, seccomp(2): init keeps it
 * until then, besides what the process shall have.
 */
function keepsAdmin(process: Process, facts: CredentialFacts): boolean {
  return facts.seccomp !== undefined && !process.noNewPrivileges;
}

/** Gives up what was kept for the seccomp filter, after it was loaded. */
export function giveUpAdmin(process: Process, facts: CredentialFacts): Step[] {
  const { effective, permitted } = process.capabilities ?? {};
  const own = bits(effective) & bits(permitted) & CAP_SYS_ADMIN;
  if (own !== 0n || !keepsAdmin(process, facts)) return [];
  return [
    call('capset', capsetArguments(process, 0n), {
      pointer: CAPABILITIES,
      why: 'give up CAP_SYS_ADMIN after loading the seccomp filter',
      // The filter may forbid it. What the program gets does not depend on it, capabilities(7).
      tolerate: ['EPERM', 'ENOSYS'],
    }),
  ];
}

function boundingSet(process: Process, facts: CredentialFacts): Step[] {
  const kept = new Set((process.capabilities?.bounding ?? []).map(capabilityNumber));
  const dropped: number[] = [];
  for (let number = 0; number <= facts.lastCapability; number++)
    if (!kept.has(number)) dropped.push(number);
  if (dropped.length === 0) return [];
  const pointer = `${CAPABILITIES}/bounding`;
  const origin = { pointer, why: 'drop capabilities from the bounding set' };
  const drop = [flags('PR', PR, 'CAPBSET_DROP'), result('capability'), 0, 0, 0];
  return [
    {
      kind: 'each',
      as: 'capability',
      values: dropped,
      of: [call('prctl', drop, origin)],
      origin: (i) => ({ pointer, why: `drop capability ${dropped[i]} from the bounding set` }),
      ...origin,
    },
  ];
}

/**
 * Without additional groups the list is emptied. Where the user namespace forbids setgroups(2)
 * (user_namespaces(7)), an ordinary user keeps their own, which the container cannot use.
 */
function groups(config: RuntimeConfig, process: Process): Step[] {
  if ((config.annotations?.[KEEP_GROUPS] ?? '0') !== '0') return [];
  const gids = process.user.additionalGids ?? [];
  const list = struct('gids', ...gids.map((gid, i) => [String(i), 4, gid] as const));
  const inUserNamespace = config.linux?.namespaces?.some(({ type }) => type === 'user') ?? false;
  return [
    call('setgroups', [gids.length, gids.length === 0 ? 0 : list], {
      pointer: `${USER}/additionalGids`,
      why: 'set the additional groups',
      ...(inUserNamespace && gids.length === 0 ? { tolerate: ['EPERM'] } : {}),
    }),
  ];
}

function ids({ user }: Process): Step[] {
  return [
    call('setresgid', [user.gid, user.gid, user.gid], {
      pointer: `${USER}/gid`,
      why: `become group ${user.gid}`,
    }),
    call('setresuid', [user.uid, user.uid, user.uid], {
      pointer: `${USER}/uid`,
      why: `become user ${user.uid}`,
    }),
  ];
}

/** Arguments of capset(2). @param more is permitted and effective besides what the process has */
function capsetArguments({ capabilities }: Process, more: bigint): Value[] {
  const { effective, permitted, inheritable } = capabilities ?? {};
  const [e, p, i] = [bits(effective) | more, bits(permitted) | more, bits(inheritable)];
  const header = struct('cap_header', ['version', 4, LINUX_CAPABILITY_VERSION_3], ['pid', 4, 0]);
  const data = struct(
    'cap_data',
    ...[0n, 32n].flatMap((shift) =>
      [['effective', e] as const, ['permitted', p] as const, ['inheritable', i] as const].map(
        ([name, set]) => [name, 4, Number((set >> shift) & 0xffffffffn)] as const,
      ),
    ),
  );
  return [header, data];
}

/** Ambient capabilities are raised last: each must be permitted and inheritable by then. */
function capabilitySets(process: Process, more: bigint): Step[] {
  const { ambient } = process.capabilities ?? {};
  return [
    call('capset', capsetArguments(process, more), {
      pointer: CAPABILITIES,
      why: 'set the effective, permitted and inheritable capabilities',
    }),
    call('prctl', ambientArgs('CLEAR_ALL', 0), {
      pointer: `${CAPABILITIES}/ambient`,
      why: 'clear the ambient capabilities',
    }),
    ...(ambient ?? []).map((name, index) =>
      call('prctl', ambientArgs('RAISE', capabilityNumber(name)), {
        pointer: `${CAPABILITIES}/ambient/${index}`,
        why: `make ${name} ambient`,
        // It isn't permitted and inheritable too: older versions of «runc spec» write that.
        tolerate: ['EPERM'],
      }),
    ),
  ];
}

function ambientArgs(what: keyof typeof PR_CAP_AMBIENT, capability: number): Value[] {
  return [
    flags('PR', PR, 'CAP_AMBIENT'),
    flags('PR_CAP_AMBIENT', PR_CAP_AMBIENT, what),
    capability,
    0,
    0,
  ];
}

function bits(names: readonly string[] | undefined): bigint {
  return (names ?? []).reduce((set, name) => set | (1n << BigInt(capabilityNumber(name))), 0n);
}
