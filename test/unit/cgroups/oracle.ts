import type { DeviceRule } from '../../../schemas/runtime-config.ts';

/** A request to open or make a device node. */
export interface DeviceRequest {
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  /** Letters of `rwm`, all of which are needed. */
  readonly access: string;
}

/** What a list of rules says of a request, by applying them one after the other. */
export function isAllowed(rules: readonly DeviceRule[], request: DeviceRequest): boolean {
  const is = (wanted: number | undefined, actual: number) =>
    wanted === undefined || wanted === -1 || wanted === actual;
  const granted = new Set<string>();
  for (const rule of rules) {
    if (rule.type !== undefined && rule.type !== 'a' && rule.type !== request.type) continue;
    if (!is(rule.major, request.major) || !is(rule.minor, request.minor)) continue;
    for (const letter of rule.access ?? '')
      if (rule.allow) granted.add(letter);
      else granted.delete(letter);
  }
  return [...request.access].every((letter) => granted.has(letter));
}

/** Runs a device filter program as the kernel would; throws on what it does not know. */
export function interpret(program: Uint8Array, request: DeviceRequest): number {
  const bits = { m: 1, r: 2, w: 4 } as Record<string, number>;
  const access = [...request.access].reduce((sum, letter) => sum | (bits[letter] as number), 0);
  const context = [(access << 16) | (request.type === 'b' ? 1 : 2), request.major, request.minor];
  const registers = new Uint32Array(11);
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  for (let at = 0; ; at++) {
    const code = view.getUint8(8 * at);
    const target = view.getUint8(8 * at + 1) & 15;
    const source = view.getUint8(8 * at + 1) >> 4;
    const offset = view.getInt16(8 * at + 2, true);
    const immediate = view.getUint32(8 * at + 4, true);
    const value = registers[target] as number;
    if (code === 0x61 && source === 1) registers[target] = context[offset / 4] as number;
    else if (code === 0x54) registers[target] = value & immediate;
    else if (code === 0x74) registers[target] = value >>> immediate;
    else if (code === 0xb4) registers[target] = immediate;
    else if (code === 0x56) at += value !== immediate ? offset : 0;
    else if (code === 0x46) at += (value & immediate) !== 0 ? offset : 0;
    else if (code === 0x95) return registers[0] as number;
    else throw new Error(`instruction ${at} has the unknown opcode 0x${code.toString(16)}`);
  }
}

/** Numbers from 0 up to, not including, `below`: the same sequence for the same seed. */
export function seededRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A list of up to nine rules about few devices, so that they overlap often. */
export function randomRules(random: (below: number) => number): DeviceRule[] {
  const pick = <T>(values: readonly T[]): T => values[random(values.length)] as T;
  return Array.from({ length: random(10) }, () => {
    const type = pick(['a', 'b', 'c', 'c', undefined] as const);
    const major = pick([undefined, -1, 1, 1, 60, 61]);
    const minor = pick([undefined, -1, 3, 5, 7]);
    return {
      allow: random(2) === 0,
      access: pick(['r', 'w', 'm', 'rw', 'rm', 'wm', 'rwm', 'rwm', 'rwm']),
      ...(type !== undefined && { type }),
      ...(major !== undefined && { major }),
      ...(minor !== undefined && { minor }),
    };
  });
}

const ACCESSES = ['r', 'w', 'm', 'rw', 'rm', 'wm', 'rwm'];

/** Requests about the devices that `randomRules` has rules about, and some others. */
export const REQUESTS: readonly DeviceRequest[] = (['b', 'c'] as const).flatMap((type) =>
  [1, 2, 60, 61].flatMap((major) =>
    [3, 4, 5, 7].flatMap((minor) => ACCESSES.map((access) => ({ type, major, minor, access }))),
  ),
);
