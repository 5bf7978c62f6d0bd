/**
 * An assembler for the dozen x86-64 instruction forms that scow emits, after the
 * Intel 64 manual, volume 2 (REX prefix 2.2.1, ModRM and SIB 2.1.5).
 */

/** General registers by their number in an instruction. */
export const R = {
  rax: 0,
  rcx: 1,
  rdx: 2,
  rbx: 3,
  rsp: 4,
  rbp: 5,
  rsi: 6,
  rdi: 7,
  r8: 8,
  r9: 9,
  r10: 10,
  r11: 11,
  r12: 12,
  r13: 13,
  r14: 14,
  r15: 15,
} as const;

export type Register = (typeof R)[keyof typeof R];

/** A memory operand: `[base + displacement]`, or an absolute 31-bit address without a base. */
export interface Memory {
  readonly base?: Register;
  readonly displacement: number;
}

/** Conditions of `jcc`, by their number in the opcode. `below` and `above` are unsigned. */
export const CC = {
  below: 2,
  aboveOrEqual: 3,
  equal: 4,
  notEqual: 5,
  belowOrEqual: 6,
  above: 7,
} as const;

export type Condition = (typeof CC)[keyof typeof CC];

/** A place in the code, known when it is bound. */
export interface Label {
  offset: number | undefined;
  /** Where the last jump to it waits for the distance; there is written where the one before does. */
  lastUse: number;
}

/** Makes `[base + displacement]`. */
export function at(base: Register, displacement = 0): Memory {
  return { base, displacement };
}

/** Makes the operand of a fixed address below 2 GiB. */
export function absolute(address: number): Memory {
  return { displacement: address };
}

const WIDE = 8;
const MAX_32 = 0xffffffff;
const NO_USE = -1;

/** Writes machine code: an instruction is a method, a place that is jumped to is a label. */
export class Assembler {
  // An instruction does not check for room: a store beyond the end does nothing, and `makeRoom` and
  // `finish` see it.
  protected code: Uint8Array;
  protected length = 0;
  private pending = 0;

  /** @param room bytes of code that there is room for, until `makeRoom` makes more */
  constructor(room = 1 << 16) {
    this.code = new Uint8Array(room);
  }

  /**
   * Makes room for so many bytes of code behind what there is.
   *
   * @throws RangeError when more was emitted than there was room for
   */
  makeRoom(bytes: number): void {
    this.checkRoom();
    if (this.length + bytes <= this.code.length) return;
    const larger = new Uint8Array(2 * (this.length + bytes));
    larger.set(this.code);
    this.code = larger;
  }

  /** Bytes emitted so far. */
  get size(): number {
    return this.length;
  }

  newLabel(): Label {
    return { offset: undefined, lastUse: NO_USE };
  }

  /** Puts a label here. A label is bound once. */
  bind(label: Label): void {
    if (label.offset !== undefined) throw new Error('label bound twice');
    label.offset = this.length;
    let use = label.lastUse;
    while (use !== NO_USE) {
      const before = this.word(use);
      this.patch(use, label.offset);
      this.pending -= 1;
      use = before;
    }
  }

  /** Loads a constant: any integer from -2^63 to 2^64-1, in the shortest form. */
  moveConstant(to: Register, value: number | bigint): void {
    // Numbers first: nearly all constants are small, and a bigint costs an allocation.
    const v = typeof value === 'number' && value >= -MAX_32 && value <= MAX_32 ? value : undefined;
    if (v === 0) {
      this.registers(0x31, to, to, 0);
    } else if (v !== undefined && v > 0) {
      if (to >= 8) this.emit(0x41);
      this.emit(0xb8 + (to & 7));
      this.immediate32(v);
    } else if (v !== undefined && v >= -0x80000000) {
      this.emit(0x48 | (to >> 3), 0xc7, 0xc0 | (to & 7));
      this.immediate32(v);
    } else {
      this.moveWide(to, BigInt.asUintN(64, BigInt(value)));
    }
  }

  /** Copies 64 bits from one register to another. */
  move(to: Register, from: Register): void {
    this.registers(0x89, from, to, WIDE);
  }

  /** Loads 8 bytes. */
  load(to: Register, from: Memory): void {
    this.memory(0x8b, to, from, WIDE);
  }

  /** Loads 4 bytes, zero-extended. */
  load32(to: Register, from: Memory): void {
    this.memory(0x8b, to, from, 0);
  }

  /** Loads a byte, zero-extended. */
  loadByte(to: Register, from: Memory): void {
    this.memory(0xb6, to, from, 0, false, 0x0f);
  }

  /** Stores 8 bytes. */
  store(to: Memory, from: Register): void {
    this.memory(0x89, from, to, WIDE);
  }

  /** Stores the low 4 bytes. */
  store32(to: Memory, from: Register): void {
    this.memory(0x89, from, to, 0);
  }

  /** Stores the low 2 bytes. */
  store16(to: Memory, from: Register): void {
    this.emit(0x66);
    this.memory(0x89, from, to, 0);
  }

  /** Stores the low byte. */
  storeByte(to: Memory, from: Register): void {
    // Without a REX prefix the numbers 4 to 7 mean ah, ch, dh and bh.
    this.memory(0x88, from, to, 0, from >= 4);
  }

  /** Stores a 32-bit constant. */
  storeConstant32(to: Memory, value: number): void {
    this.memory(0xc7, 0, to, 0);
    this.immediate32(value);
  }

  /** Computes an address. */
  address(to: Register, of: Memory): void {
    this.memory(0x8d, to, of, WIDE);
  }

  /** Adds a 32-bit signed constant to 64 bits. */
  add(to: Register, value: number): void {
    this.withConstant(0, to, value, WIDE);
  }

  /** Keeps the bits of a 32-bit constant; clears the upper half. */
  and32(to: Register, value: number): void {
    this.withConstant(4, to, value, 0);
  }

  /** Compares 64 bits with a sign-extended 32-bit constant. */
  compare(register: Register, value: number): void {
    this.withConstant(7, register, value, WIDE);
  }

  /** Compares the low 32 bits with a constant. */
  compare32(register: Register, value: number): void {
    this.withConstant(7, register, value, 0);
  }

  /** Compares two 64-bit registers. */
  compareRegisters(left: Register, right: Register): void {
    this.registers(0x39, right, left, WIDE);
  }

  /** Tests the low 32 bits against a mask. */
  test32(register: Register, mask: number): void {
    if (register >= 8) this.emit(0x41);
    this.emit(0xf7, 0xc0 | (register & 7));
    this.immediate32(mask);
  }

  /** Negates 64 bits. */
  negate(register: Register): void {
    this.emit(0x48 | (register >> 3), 0xf7, 0xd8 | (register & 7));
  }

  /** Divides the 128 bits of rdx:rax, unsigned; the quotient goes to rax, the remainder to rdx. */
  divide(by: Register): void {
    this.emit(0x48 | (by >> 3), 0xf7, 0xf0 | (by & 7));
  }

  push(register: Register): void {
    if (register >= 8) this.emit(0x41);
    this.emit(0x50 + (register & 7));
  }

  pop(register: Register): void {
    if (register >= 8) this.emit(0x41);
    this.emit(0x58 + (register & 7));
  }

  jump(to: Label): void {
    this.emit(0xe9);
    this.relative(to);
  }

  jumpIf(condition: Condition, to: Label): void {
    this.emit(0x0f, 0x80 + condition);
    this.relative(to);
  }

  call(to: Label): void {
    this.emit(0xe8);
    this.relative(to);
  }

  /** Calls the code whose address a register holds. */
  callRegister(register: Register): void {
    if (register >= 8) this.emit(0x41);
    this.emit(0xff, 0xd0 | (register & 7));
  }

  /** An instruction that is none: whoever comes here is killed by SIGILL. */
  trap(): void {
    this.emit(0x0f, 0x0b);
  }

  return(): void {
    this.emit(0xc3);
  }

  /** `syscall`: the kernel overwrites rcx and r11. */
  syscall(): void {
    this.emit(0x0f, 0x05);
  }

  /**
   * The machine code.
   *
   * @throws Error when a label was used and never bound
   */
  finish(): Uint8Array {
    if (this.pending !== 0) throw new Error(`${this.pending} uses of unbound labels`);
    this.checkRoom();
    return this.code.slice(0, this.length);
  }

  private checkRoom(): void {
    if (this.length > this.code.length)
      throw new RangeError(`${this.length} bytes of code: more than ${this.code.length}`);
  }

  private moveWide(to: Register, value: bigint): void {
    const signed = BigInt.asIntN(64, value);
    if (signed >= -0x80000000n && signed <= 0xffffffffn) {
      this.moveConstant(to, Number(signed));
      return;
    }
    this.emit(0x48 | (to >> 3), 0xb8 + (to & 7));
    this.immediate32(Number(value & 0xffffffffn));
    this.immediate32(Number(value >> 32n));
  }

  private registers(opcode: number, reg: Register, rm: Register, wide: number): void {
    const rex = wide | ((reg >> 3) << 2) | (rm >> 3);
    if (rex !== 0) this.emit(0x40 | rex);
    this.emit(opcode, 0xc0 | ((reg & 7) << 3) | (rm & 7));
  }

  private withConstant(extension: number, rm: Register, value: number, wide: number): void {
    const rex = wide | (rm >> 3);
    if (rex !== 0) this.emit(0x40 | rex);
    this.emit(0x81, 0xc0 | (extension << 3) | (rm & 7));
    this.immediate32(value);
  }

  private memory(
    opcode: number,
    reg: number,
    operand: Memory,
    wide: number,
    needsRex = false,
    prefix = 0,
  ): void {
    const base = operand.base;
    const rex = wide | ((reg >> 3) << 2) | ((base ?? 0) >> 3);
    if (rex !== 0 || needsRex) this.emit(0x40 | rex);
    if (prefix !== 0) this.emit(prefix);
    const field = (reg & 7) << 3;
    if (base === undefined) {
      this.emit(opcode, field | 4, 0x25);
    } else {
      this.emit(opcode, 0x80 | field | (base & 7));
      // rsp and r12 as a base are spelled with a SIB byte.
      if ((base & 7) === 4) this.emit(0x24);
    }
    this.immediate32(operand.displacement);
  }

  protected emit(first: number, second?: number, third?: number): void {
    this.code[this.length++] = first;
    if (second !== undefined) this.code[this.length++] = second;
    if (third !== undefined) this.code[this.length++] = third;
  }

  protected immediate32(value: number): void {
    const { code, length } = this;
    code[length] = value;
    code[length + 1] = value >> 8;
    code[length + 2] = value >> 16;
    code[length + 3] = value >> 24;
    this.length = length + 4;
  }

  private word(at: number): number {
    const { code } = this;
    return (
      (code[at] as number) |
      ((code[at + 1] as number) << 8) |
      ((code[at + 2] as number) << 16) |
      ((code[at + 3] as number) << 24)
    );
  }

  /** Ends a jump or call with the distance to its target. */
  protected relative(label: Label): void {
    const { code, length } = this;
    let value = label.lastUse;
    if (label.offset !== undefined) {
      value = label.offset - (length + 4);
    } else {
      label.lastUse = length;
      this.pending += 1;
    }
    code[length] = value;
    code[length + 1] = value >> 8;
    code[length + 2] = value >> 16;
    code[length + 3] = value >> 24;
    this.length = length + 4;
  }

  private patch(use: number, target: number): void {
    const distance = target - (use + 4);
    const { code } = this;
    code[use] = distance;
    code[use + 1] = distance >> 8;
    code[use + 2] = distance >> 16;
    code[use + 3] = distance >> 24;
  }
}
