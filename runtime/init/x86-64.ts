import { Assembler, absolute, at, CC, type Label, R } from '../linux/x86-64/assembler.ts';
import type { Machine } from './machine.ts';

/** Registers of a system call's arguments (syscall(2), «Architecture calling conventions»). */
const ARGUMENTS = [R.rdi, R.rsi, R.rdx, R.r10, R.r8, R.r9] as const;

/** Opcodes of jumps on a condition, after 0x0f. */
const BELOW = 0x82;
const ABOVE_OR_EQUAL = 0x83;
const EQUAL = 0x84;

/**
 * The x86-64 machine: R is rax.
 *
 * Init is made anew for every container, by code that the engine still interprets, where a call
 * of a function costs as much as twenty bytes do. So the instructions that make up nearly all of
 * init are written out here, one call each; the rest goes through the assembler's general forms.
 */
export class X86Machine extends Assembler implements Machine {
  systemCall(nr: number, values: readonly (number | bigint)[], loads: number): void {
    const { code } = this;
    if (values.length > ARGUMENTS.length) throw new Error('a system call has no argument 6');
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number | bigint;
      const register = ARGUMENTS[i] as (typeof ARGUMENTS)[number];
      if ((loads >> i) & 1) {
        this.absolute(0x8b, register, value as number);
      } else if (value === 0) {
        // xor r32, r32
        let at = this.length;
        if (register >= 8) code[at++] = 0x45;
        code[at] = 0x31;
        code[at + 1] = 0xc0 | ((register & 7) * 9);
        this.length = at + 2;
      } else if (typeof value !== 'number' || value < 0 || value > 0xffffffff) {
        this.moveConstant(register, value);
      } else {
        // mov r32, imm32
        let at = this.length;
        if (register >= 8) code[at++] = 0x41;
        code[at] = 0xb8 + (register & 7);
        code[at + 1] = value;
        code[at + 2] = value >>> 8;
        code[at + 3] = value >>> 16;
        code[at + 4] = value >>> 24;
        this.length = at + 5;
      }
    }
    // mov eax, nr; syscall
    const { length } = this;
    code[length] = 0xb8;
    code[length + 1] = nr;
    code[length + 2] = nr >>> 8;
    code[length + 3] = 0;
    code[length + 4] = 0;
    code[length + 5] = 0x0f;
    code[length + 6] = 0x05;
    this.length = length + 7;
  }

  setResult(value: number | bigint): void {
    this.moveConstant(R.rax, value);
  }

  loadResult(address: number): void {
    this.absolute(0x8b, R.rax, address);
  }

  loadFromPointer(address: number): void {
    this.loadResult(address);
    this.load(R.rax, at(R.rax));
  }

  storeResult(address: number, width: 2 | 4 | 8): void {
    if (width === 8) this.absolute(0x89, R.rax, address);
    else if (width === 4) this.store32(absolute(address), R.rax);
    else this.store16(absolute(address), R.rax);
  }

  storeErrno(address: number): void {
    this.move(R.rcx, R.rax);
    this.negate(R.rcx);
    this.store32(absolute(address), R.rcx);
  }

  /** mov dword [address], value */
  storeConstant(address: number, value: number): void {
    const { code, length } = this;
    code[length] = 0xc7;
    code[length + 1] = 0x04;
    code[length + 2] = 0x25;
    code[length + 3] = address;
    code[length + 4] = address >>> 8;
    code[length + 5] = address >>> 16;
    code[length + 6] = address >>> 24;
    code[length + 7] = value;
    code[length + 8] = value >>> 8;
    code[length + 9] = value >>> 16;
    code[length + 10] = value >>> 24;
    this.length = length + 11;
  }

  storeSum(address: number, from: number, value: number): void {
    this.load32(R.rax, absolute(from));
    this.add(R.rax, value);
    this.store32(absolute(address), R.rax);
  }

  jumpIfSuccess(to: Label): void {
    this.compareAndJump(-4095, BELOW, to);
  }

  jumpIfError(to: Label): void {
    this.compareAndJump(-4095, ABOVE_OR_EQUAL, to);
  }

  jumpIfErrno(errno: number, to: Label): void {
    this.compareAndJump(-errno, EQUAL, to);
  }

  jumpIfZero(to: Label): void {
    this.compareAndJump(0, EQUAL, to);
  }

  jumpIfMemoryEquals(
    address: number,
    width: 1 | 2 | 4,
    mask: number,
    value: number,
    to: Label,
  ): void {
    this.load32(R.rax, absolute(address));
    this.and32(R.rax, mask & (width === 4 ? -1 : (1 << (8 * width)) - 1));
    this.compare32(R.rax, value);
    this.emit(0x0f, EQUAL);
    this.relative(to);
  }

  jumpUnlessMemoryEquals(address: number, value: number, to: Label): void {
    this.load32(R.rax, absolute(address));
    this.compare32(R.rax, value);
    this.jumpIf(CC.notEqual, to);
  }

  /** A mov of 8 bytes between a register and memory, in the direction of the opcode. */
  private absolute(opcode: number, register: number, address: number): void {
    const { code, length } = this;
    code[length] = register >= 8 ? 0x4c : 0x48;
    code[length + 1] = opcode;
    code[length + 2] = ((register & 7) << 3) | 4;
    code[length + 3] = 0x25;
    code[length + 4] = address;
    code[length + 5] = address >> 8;
    code[length + 6] = address >> 16;
    code[length + 7] = address >> 24;
    this.length = length + 8;
  }

  /** cmp rax, value; jcc to */
  private compareAndJump(value: number, condition: number, to: Label): void {
    const { code, length } = this;
    code[length] = 0x48;
    code[length + 1] = 0x3d;
    code[length + 2] = value;
    code[length + 3] = value >> 8;
    code[length + 4] = value >> 16;
    code[length + 5] = value >> 24;
    code[length + 6] = 0x0f;
    code[length + 7] = condition;
    this.length = length + 8;
    this.relative(to);
  }
}
