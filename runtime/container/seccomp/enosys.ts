/** The highest number of a system call that a profile names, on one architecture. */
export interface Newest {
  /** libseccomp's number for the architecture: the kernel's AUDIT_ARCH_*, but for x32. */
  readonly architecture: number;
  readonly number: number;
}

/** Instructions of classic BPF, `linux/bpf_common.h`. */
const BPF = { LD_W_ABS: 0x20, JA: 0x05, JEQ: 0x15, JGT: 0x25, JSET: 0x45, RET: 0x06 } as const;

/** Offsets in `struct seccomp_data`, seccomp(2). */
const DATA = { nr: 0, arch: 4 } as const;

const RETURN_ENOSYS = 0x00050000 | 38;
const AUDIT_ARCH_X86_64 = 0xc000003e;
/** x32 has the kernel's number of x86-64, and a bit of its own in the system call's number. */
const X32 = 0x4000003e;
const X32_BIT = 0x40000000;
const AUDIT_ARCH_S390 = 0x16;
const AUDIT_ARCH_S390X = 0x80000016;

/** `struct sock_filter`: how far to jump when the comparison holds, and when it does not. */
type Instruction = readonly [code: number, k: number, whenTrue?: number, whenFalse?: number];

const INSTRUCTION = 8;

/**
 * A program to go before a filter whose default action denies: it answers ENOSYS to every system
 * call that is newer than the newest that the profile names. Whoever wrote the profile could not
 * know those, and programs (the C library first) go on with an older call when a new one is
 * «not implemented», where «not permitted» makes them give up.
 *
 * It goes on at the filter's first instruction for everything else: calls that the profile may
 * have meant to deny, and architectures that it does not name.
 *
 * @returns instructions, to be followed by those of the filter
 */
export function enosysStub(newest: readonly Newest[]): Uint8Array {
  const numbers = new Map(newest.map(({ architecture, number }) => [architecture, number]));
  const x32 = numbers.get(X32);
  if (x32 !== undefined) {
    numbers.delete(X32);
    if (!numbers.has(AUDIT_ARCH_X86_64)) numbers.set(AUDIT_ARCH_X86_64, X32_BIT - 1);
  }
  let program: Instruction[] = [];
  // From the last to the first: each must know how far it is to the end.
  for (const [architecture, number] of [...numbers].reverse()) {
    const section = checksOf(architecture, number, x32);
    section.push([BPF.JA, program.length]);
    program = [[BPF.JEQ, architecture, 0, section.length], ...section, ...program];
  }
  return encode(program.length === 0 ? [] : [[BPF.LD_W_ABS, DATA.arch], ...program]);
}

function checksOf(architecture: number, number: number, x32: number | undefined): Instruction[] {
  const checks: Instruction[] = [[BPF.LD_W_ABS, DATA.nr]];
  const newer = (than: number) => checks.push([BPF.JGT, than, 0, 1], [BPF.RET, RETURN_ENOSYS]);
  if (architecture === AUDIT_ARCH_S390 || architecture === AUDIT_ARCH_S390X) {
    // The kernel gives number 0, once setup(2), to what came by a number that it doesn't know.
    checks.push([BPF.JEQ, 0, 0, 1], [BPF.RET, RETURN_ENOSYS]);
  }
  if (architecture !== AUDIT_ARCH_X86_64) {
    newer(number);
  } else if (x32 === undefined) {
    checks.push([BPF.JSET, X32_BIT, 2, 0]);
    newer(number);
  } else {
    checks.push([BPF.JSET, X32_BIT, 3, 0]);
    newer(number);
    checks.push([BPF.JA, 2]);
    newer(x32);
  }
  return checks;
}

function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(INSTRUCTION * program.length);
  const view = new DataView(bytes.buffer);
  for (const [i, [code, k, whenTrue = 0, whenFalse = 0]] of program.entries()) {
    view.setUint16(INSTRUCTION * i, code, true);
    view.setUint8(INSTRUCTION * i + 2, whenTrue);
    view.setUint8(INSTRUCTION * i + 3, whenFalse);
    view.setUint32(INSTRUCTION * i + 4, k, true);
  }
  return bytes;
}
