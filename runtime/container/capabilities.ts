import type { Capabilities, CapabilityName, Process } from '../../schemas/runtime-config.ts';
import { readFileSync } from '../linux/files.ts';
import { capabilityNumber } from '../plan/capabilities.ts';
import { warn } from './log.ts';

/**
 * Warns of ambient capabilities that the process won't have, because they aren't permitted and
 * inheritable as well (capabilities(7)), in one line: builders ask for many, in each step. The
 * specification wants a warning and no error (config.md, `process.capabilities`).
 */
export function warnOfAmbient({ capabilities = {} }: Process): void {
  const { ambient = [], permitted = [], inheritable = [] } = capabilities;
  const missing = ambient.filter(
    (name) => !permitted.includes(name) || !inheritable.includes(name),
  );
  if (missing.length > 0)
    warn(
      `can't raise the ambient capabilities ${missing.join(', ')}: they are not permitted and inheritable too  [/process/capabilities/ambient]`,
    );
}

/**
 * The process without capabilities that it can't be given, of which a warning tells: the
 * specification has a runtime go on without them (config.md, Linux Process).
 *
 * @param ownUserNamespace the process is in a user namespace that scow is not in, where every
 *   capability of the kernel can be had
 */
export function withGrantable(program: Process, ownUserNamespace: boolean): Process {
  const { capabilities } = program;
  if (capabilities === undefined) return program;
  const sets = Object.entries(capabilities) as [keyof Capabilities, readonly CapabilityName[]][];
  const has = available(ownUserNamespace);
  const missing = new Set(
    sets.flatMap(([set, names]) => names.filter((name) => !isIn(has, set, name))),
  );
  if (missing.size === 0) return program;
  warn(
    `the process goes without ${[...missing].join(', ')}, which scow does not have here or the kernel does not know  [/process/capabilities]`,
  );
  const left = sets.map(([set, names]) => [set, names.filter((name) => !missing.has(name))]);
  return { ...program, capabilities: Object.fromEntries(left) as Capabilities };
}

/** Sets of capabilities, a bit for each. */
interface Available {
  readonly bounding: bigint;
  readonly permitted: bigint;
}

/** What proc_pid_status(5) says of this process, or all that the kernel knows. */
function available(ownUserNamespace: boolean): Available {
  if (ownUserNamespace) {
    const last = readFileSync('/proc/sys/kernel/cap_last_cap', 'latin1');
    const all = (2n << BigInt(last.trim())) - 1n;
    return { bounding: all, permitted: all };
  }
  const status = readFileSync('/proc/self/status', 'latin1');
  const [, permitted = '0'] = /^CapPrm:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  const [, bounding = '0'] = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  return { bounding: BigInt(`0x${bounding}`), permitted: BigInt(`0x${permitted}`) };
}

/** Nothing is added to the bounding set, whatever is permitted. */
function isIn(has: Available, set: keyof Capabilities, name: CapabilityName): boolean {
  const held = set === 'bounding' ? has.bounding : has.permitted;
  return ((held >> BigInt(capabilityNumber(name))) & 1n) === 1n;
}
