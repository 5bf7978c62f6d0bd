import type { Linux, MemoryPolicy, Personality } from '../../schemas/runtime-config.ts';
import { MPOL, MPOL_F, PER } from '../linux/constants.ts';
import { maskOf } from './number-list.ts';
import { call, flags, type Step, struct, type Value } from './step.ts';

/** What a process can only set for itself and keeps when it executes the program. */
export function ownAttributes(linux: Linux | undefined): Step[] {
  return [...memoryPolicy(linux?.memoryPolicy), ...personality(linux?.personality)];
}

/** personality(2) */
function personality(wanted: Personality | undefined): Step[] {
  if (wanted === undefined) return [];
  return [
    call('personality', [flags('PER', PER, wanted.domain)], {
      pointer: '/linux/personality/domain',
      why: `set the execution domain ${wanted.domain}`,
    }),
  ];
}

/** set_mempolicy(2) */
function memoryPolicy(wanted: MemoryPolicy | undefined): Step[] {
  if (wanted === undefined) return [];
  const mode = wanted.mode.slice('MPOL_'.length) as keyof typeof MPOL;
  const names = (wanted.flags ?? []).map(
    (name) => name.slice('MPOL_F_'.length) as keyof typeof MPOL_F,
  );
  const chosen = flags('MPOL_F', MPOL_F, ...names);
  const policy: Value = {
    flags: MPOL[mode] + Number(chosen.flags),
    text: [wanted.mode, ...(names.length === 0 ? [] : [chosen.text])].join('|'),
  };
  return [
    call('set_mempolicy', [policy, ...nodeMask(wanted.nodes ?? '')], {
      pointer: '/linux/memoryPolicy',
      why: `set the memory policy ${wanted.mode}`,
    }),
  ];
}

/** The address of the mask, and the number of its bits: plus one, for the kernel takes one off. */
function nodeMask(nodes: string): [mask: Value, bits: number] {
  const mask = maskOf(nodes);
  if (mask.length === 0) return [0, 0];
  const words = new DataView(mask.buffer);
  const fields = Array.from(
    { length: mask.length / 8 },
    (_, i) => [String(i), 8, words.getBigUint64(8 * i, true)] as const,
  );
  return [struct('nodemask', ...fields), 8 * mask.length + 1];
}
