import type { DeviceRule } from '../../schemas/runtime-config.ts';

/**
 * Device rules as an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE. The program is
 * asked before a device node is opened or made, and answers 1 (allowed) or 0.
 *
 * What the rules mean is what a list of settings applied in order means: each of read,
 * write and mknod of a device is decided by the last rule that covers it, and denied
 * when none does (config-linux.md, Allowed Device list). A request for several of them,
 * like an open for reading and writing, needs all; so a denied write also denies
 * opening for both, and rules that allow read and write one by one allow both at once.
 *
 * So what is allowed of a device is known beforehand, and the program only looks it up:
 * by type, then major, then minor number. A program that went through the rules one by
 * one would make the kernel's verifier follow every combination of matches: 0.3 s for
 * 400 rules, and no more than some thousand.
 */

/** BPF_DEVCG_DEV_CHAR and BPF_DEVCG_ACC_* of linux/bpf.h. */
const CHARACTER = 2;
const ACCESS: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };
const ALL_ACCESS = 7;

/** A rule's major or minor number that stands for all of them, as engines write it. */
const ALL = -1;

const character = (major: number, minor: number, access = 'rwm'): DeviceRule => ({
  allow: true,
  type: 'c',
  major,
  minor,
  access,
});

/**
 * Rules that apply to every container after the configured ones, the same that runc
 * has: the default devices (config-linux.md, Default Devices), terminals, /dev/net/tun
 * that VPN images count on, and mknod of any device, which without the right to open
 * it does no harm.
 */
export const DEFAULT_DEVICE_RULES: readonly DeviceRule[] = [
  character(ALL, ALL, 'm'),
  { allow: true, type: 'b', major: ALL, minor: ALL, access: 'm' },
  character(1, 3), // null
  character(1, 5), // zero
  character(1, 7), // full
  character(1, 8), // random
  character(1, 9), // urandom
  character(5, 0), // tty
  character(5, 2), // ptmx
  character(136, ALL), // pts/*
  character(10, 200), // net/tun
];

/** A rule in numbers. `undefined` is every type or number. */
interface Match {
  readonly allow: boolean;
  readonly type: 'b' | 'c' | undefined;
  readonly major: number | undefined;
  readonly minor: number | undefined;
  readonly access: number;
}

function toMatch({ allow, type = 'a', major = ALL, minor = ALL, access = '' }: DeviceRule): Match {
  return {
    allow,
    type: type === 'a' ? undefined : type,
    major: major === ALL ? undefined : major,
    minor: minor === ALL ? undefined : minor,
    access: [...access].reduce((bits, letter) => bits | (ACCESS[letter] ?? 0), 0),
  };
}

/** Whether a rule decides every request there is. */
function coversAll({ type, major, minor, access }: Match): boolean {
  return type === undefined && major === undefined && minor === undefined && access === ALL_ACCESS;
}

/**
 * Whether the rules deny nothing at all, so that the container can do without the
 * program where the kernel refuses it.
 *
 * @param rules in the order in which they apply
 */
export function allowsEverything(rules: readonly DeviceRule[]): boolean {
  const matches = rules.map(toMatch);
  const lastAll = matches.findLastIndex((match) => match.allow && coversAll(match));
  return lastAll >= 0 && matches.slice(lastAll).every(({ allow }) => allow);
}

/** Registers: the answer, then what the program keeps of its context. */
const R = { answer: 0, context: 1, type: 2, access: 3, major: 4, minor: 5 } as const;
type Register = (typeof R)[keyof typeof R];

/** Opcodes (the kernel's Documentation/bpf/standardization/instruction-set.rst). */
const CODE = {
  LOAD_WORD: 0x61,
  AND32: 0x54,
  SHIFT_RIGHT32: 0x74,
  MOVE32: 0xb4,
  // 32-bit comparisons: the 64-bit ones would extend the sign of numbers from 2^31 on.
  JUMP_NOT_EQUAL32: 0x56,
  JUMP_ANY_BIT32: 0x46,
  EXIT: 0x95,
} as const;

const MAX_JUMP = 2 ** 15 - 1;

/** Its eight bytes as two words: opcode, registers and offset; immediate. */
type Instruction = readonly [number, number];

function instruction(code: number, target: Register = 0, immediate = 0, offset = 0): Instruction {
  if (offset > MAX_JUMP)
    throw new Error('linux.resources.devices has more rules than a device filter can hold');
  return [code | (target << 8) | (offset << 16), immediate];
}

/** Loads the 32-bit word at `offset` of the context into `target`. */
function load(target: Register, offset: number): Instruction {
  const [word, immediate] = instruction(CODE.LOAD_WORD, target, 0, offset);
  return [word | (R.context << 12), immediate];
}

/** Runs `body`, which ends the program, when the register holds `value`; else goes on behind it. */
function when(register: Register, value: number, body: readonly Instruction[]): Instruction[] {
  return [instruction(CODE.JUMP_NOT_EQUAL32, register, value, body.length), ...body];
}

/** Takes struct bpf_cgroup_dev_ctx (linux/bpf.h) apart; the answer is «denied» so far. */
const PROLOGUE: readonly Instruction[] = [
  instruction(CODE.MOVE32, R.answer, 0),
  load(R.type, 0),
  instruction(CODE.AND32, R.type, 0xffff),
  load(R.access, 0),
  instruction(CODE.SHIFT_RIGHT32, R.access, 16),
  load(R.major, 4),
  load(R.minor, 8),
];

/** The answer about a device that exactly these rules cover. */
function answer(rules: readonly Match[]): Instruction[] {
  const allowed = rules.reduce(
    (bits, { allow, access }) => (allow ? bits | access : bits & ~access),
    0,
  );
  const exit = instruction(CODE.EXIT);
  if (allowed === 0) return [exit];
  const allow = [instruction(CODE.MOVE32, R.answer, 1), exit];
  if (allowed === ALL_ACCESS) return allow;
  return [instruction(CODE.JUMP_ANY_BIT32, R.access, ALL_ACCESS & ~allowed, 1), ...allow];
}

/**
 * Tells devices apart by one of their numbers: a branch for each number that a rule
 * names, with the rules that cover it, and one for all others.
 */
function branch(
  field: 'major' | 'minor',
  rules: readonly Match[],
  next: (rules: readonly Match[]) => Instruction[],
): Instruction[] {
  const named = new Map<number, Match[]>();
  const others: Match[] = [];
  for (const rule of rules) {
    const number = rule[field];
    if (number === undefined) {
      for (const list of [...named.values(), others]) list.push(rule);
    } else {
      const list = named.get(number) ?? [...others];
      list.push(rule);
      named.set(number, list);
    }
  }
  const branches = [...named].flatMap(([number, list]) => when(R[field], number, next(list)));
  return [...branches, ...next(others)];
}

/**
 * Compiles device rules.
 *
 * @param rules in the order in which they apply; `checkResources` must have found no
 *   fault in them
 * @returns the program's instructions, for BPF_PROG_LOAD
 * @throws Error in one line for a list of some ten thousand rules, which is too long
 */
export function deviceProgram(rules: readonly DeviceRule[]): Uint8Array {
  const matches = rules.map(toMatch);
  const ofType = (type: 'b' | 'c') =>
    branch(
      'major',
      matches.filter((match) => match.type === undefined || match.type === type),
      (ofMajor) => branch('minor', ofMajor, answer),
    );
  const program = [...PROLOGUE, ...when(R.type, CHARACTER, ofType('c')), ...ofType('b')];
  const words = new Uint32Array(2 * program.length);
  for (const [i, [first, second]] of program.entries()) {
    words[2 * i] = first;
    words[2 * i + 1] = second;
  }
  return new Uint8Array(words.buffer);
}
