import { DATA_BASE, writeElf } from '../init/elf.ts';
import { Assembler, at, CC, R } from '../linux/x86-64/assembler.ts';

/** Distance from the file's data to the zeroed memory: the room for texts. */
const TEXT_ROOM = 0x10000;

const DIGIT_ZERO = 0x30;

/**
 * A program of a few KiB for x86-64 that puts texts together: an assembler, memory, and two
 * subroutines. Nothing is allocated at run time; whoever reserves a buffer sees to its size.
 */
export class SmallProgram {
  readonly a = new Assembler();
  /** Subroutine: copies the text at rsi to rdi, and leaves rdi at its final zero. Uses rax. */
  readonly append = this.a.newLabel();
  /** Subroutine: the same for the decimal digits of rax. Uses rsi, rcx and rdx too. */
  readonly appendDecimal = this.a.newLabel();
  private readonly texts: number[] = [];
  private reserved = 0;

  /** The address of a text that a zero byte ends. */
  text(content: string): number {
    const address = DATA_BASE + this.texts.length;
    this.texts.push(...new TextEncoder().encode(content), 0);
    return address;
  }

  /** The address of `size` zeroed bytes. */
  reserve(size: number): number {
    const address = DATA_BASE + TEXT_ROOM + this.reserved;
    this.reserved += size;
    return address;
  }

  /** Appends a constant text at rdi. */
  appendText(content: string): void {
    this.a.moveConstant(R.rsi, this.text(content));
    this.a.call(this.append);
  }

  /** Makes a system call; its arguments are in their registers, its result comes in rax. */
  systemCall(nr: number): void {
    this.a.moveConstant(R.rax, nr);
    this.a.syscall();
  }

  /** Writes the text from `start` to rdi, which is not empty. */
  write(descriptor: number, start: number, writeNumber: number): void {
    const { a } = this;
    const next = a.newLabel();
    a.moveConstant(R.rsi, start);
    a.move(R.rcx, R.rsi);
    a.moveConstant(R.rdx, 0);
    a.bind(next);
    a.add(R.rcx, 1);
    a.add(R.rdx, 1);
    a.compareRegisters(R.rcx, R.rdi);
    a.jumpIf(CC.notEqual, next);
    a.moveConstant(R.rdi, descriptor);
    this.systemCall(writeNumber);
  }

  /**
   * Adds the subroutines and writes the file. Execution begins with the first instruction.
   *
   * @returns an executable ELF file
   */
  finish(): Uint8Array {
    this.emitAppendDecimal();
    this.emitAppend();
    const data = Uint8Array.from(this.texts);
    if (data.length > TEXT_ROOM) throw new RangeError(`${data.length} bytes of text`);
    const bssSize = TEXT_ROOM - data.length + this.reserved;
    return writeElf({ text: this.a.finish(), data, bssSize });
  }

  private emitAppendDecimal(): void {
    const { a } = this;
    const next = a.newLabel();
    a.bind(this.appendDecimal);
    // The last of these bytes stays zero and ends the digits of the largest number, 20.
    a.moveConstant(R.rsi, this.reserve(21) + 20);
    a.moveConstant(R.rcx, 10);
    a.bind(next);
    a.moveConstant(R.rdx, 0);
    a.divide(R.rcx);
    a.add(R.rdx, DIGIT_ZERO);
    a.add(R.rsi, -1);
    a.storeByte(at(R.rsi), R.rdx);
    a.compare(R.rax, 0);
    a.jumpIf(CC.notEqual, next);
    a.jump(this.append);
  }

  private emitAppend(): void {
    const { a } = this;
    const next = a.newLabel();
    const end = a.newLabel();
    a.bind(this.append);
    a.bind(next);
    a.loadByte(R.rax, at(R.rsi));
    a.storeByte(at(R.rdi), R.rax);
    a.compare32(R.rax, 0);
    a.jumpIf(CC.equal, end);
    a.add(R.rsi, 1);
    a.add(R.rdi, 1);
    a.jump(next);
    a.bind(end);
    a.return();
  }
}
