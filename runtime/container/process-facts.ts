import { readFileSync } from '../linux/files.ts';
import type { ProcessFacts } from '../plan/facts.ts';
import { callersNofile } from './limits.ts';

/** Reads all that planning any process of a container needs to know of the host. */
export function readProcessFacts(): ProcessFacts {
  const openFiles = callersNofile();
  return {
    ignoredSignals: ignoredSignals(),
    lastCapability: Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'latin1')),
    ...(openFiles === undefined ? {} : { openFiles }),
  };
}

/** The signals that this process ignores: SigIgn of proc(5), a set of bits. */
export function ignoredSignals(status = readFileSync('/proc/self/status', 'latin1')): number[] {
  const set = BigInt(`0x${/^SigIgn:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const ignored: number[] = [];
  for (let signal = 1; signal <= 64; signal++)
    if ((set >> BigInt(signal - 1)) & 1n) ignored.push(signal);
  return ignored;
}
