import { NUMBERS, type SyscallName } from './numbers.ts';
import { port } from './port.ts';
import { IS_FUNCTION, RECORD, STOP_ON_ERROR, TABLE } from './x86-64/stubs.ts';

/**
 * An argument of a call: an integer; a path or name (passed as a NUL-terminated UTF-8 string);
 * the address of a buffer; or the result of an earlier call.
 */
export type Argument = number | bigint | string | Uint8Array | ResultOf;

/** Stands for the result of a call that is made before, by its number. */
export interface ResultOf {
  readonly resultOf: number;
  /** The table of that call, which must stay as it is; absent for an earlier one of the same. */
  readonly table?: CallTable | undefined;
}

/** Encodes a path or name for the kernel. @throws Error for a string that contains NUL */
export function cString(text: string): Buffer {
  checkText(text);
  return Buffer.from(`${text}\0`);
}

/**
 * Writes a path or name and its NUL to where there is room for three bytes a character, and that.
 *
 * @returns where they end
 * @throws Error for a string that contains NUL
 */
export function writeText(bytes: Buffer, at: number, text: string): number {
  checkText(text);
  const end = at + bytes.write(text, at);
  bytes[end] = 0;
  return end + 1;
}

function checkText(text: string): void {
  if (text.includes('\0')) throw new Error(`${JSON.stringify(text)} contains a NUL byte`);
}

/** Words of 32 bits in a record, and before the first. */
const RECORD_WORDS = RECORD.size / 4;
const HEADER_WORDS = TABLE.records / 4;
const FLAGS = RECORD.flags / 4;
const RESULT = RECORD.result / 4;
const TARGET = RECORD.target / 4;
const ARGUMENTS = RECORD.args / 4;
const DONE = TABLE.done / 4;
/** What the kernel returns for an error is above this: -1 to -4095. */
const NO_ERROR = -4096;
const HIGH = 2 ** 32;

/**
 * A table of calls as the stubs run it (see x86-64/stubs.ts): system calls, and functions of
 * libraries. Calls are written straight to where they are run from, and a table can be filled
 * anew: an unpack makes hundreds of thousands of them.
 */
export class CallTable {
  #words: Int32Array;
  #address: number;
  #count = 0;
  /** What calls point at. */
  #keep: Uint8Array[] = [];
  /** Tables whose results are arguments here. */
  readonly #others: CallTable[] = [];

  /** @param room calls that there is room for; it grows when there are more */
  constructor(room: number) {
    this.#words = new Int32Array(HEADER_WORDS + RECORD_WORDS * room);
    this.#address = addressOf(this.#words);
  }

  /** Where it is, until a call is added. */
  get address(): number {
    return this.#address;
  }

  /** Calls in it. */
  get count(): number {
    return this.#count;
  }

  /** How many were made when it was run: all, or up to one that failed with `stopOnError`. */
  get done(): number {
    return this.#words[DONE] as number;
  }

  /**
   * Adds a system call.
   *
   * @param stopOnError skip the rest of the table when it fails
   * @returns its number in the table
   */
  addSystemCall(name: SyscallName, args: readonly Argument[], stopOnError: boolean): number {
    return this.#add(NUMBERS[name], args, stopOnError ? STOP_ON_ERROR : 0);
  }

  /** Adds a call of a C function that takes integers and addresses: at most six. */
  addFunction(address: number, args: readonly Argument[]): number {
    return this.#add(address, args, IS_FUNCTION);
  }

  /** Takes all calls out. Their results stay where they are until it is run again. */
  clear(): void {
    this.#count = 0;
    this.#words[DONE] = 0;
    this.#keep = [];
    this.#others.length = 0;
  }

  /** The result of a call that was made: the kernel's own, `-errno` for one that failed. */
  result(call: number): number {
    return this.#read(this.#record(call) + RESULT);
  }

  /** The results of all calls that were made. */
  results(): number[] {
    const results: number[] = [];
    for (let call = 0; call < this.done; call++) results.push(this.result(call));
    return results;
  }

  /** Whether, when it was run, all calls were made, and none failed that had `stopOnError`. */
  get succeeded(): boolean {
    const last = this.#count - 1;
    if (this.done <= last) return false;
    const stops = last >= 0 && (this.#flags(last) & STOP_ON_ERROR) !== 0;
    return !stops || !failed(this.result(last));
  }

  /** The word that a call had, or will have, as one of its arguments, once those before were made. */
  argument(call: number, index: number): number {
    const word = this.#read(this.#record(call) + ARGUMENTS + 2 * index);
    if ((this.#flags(call) & (1 << index)) === 0) return word;
    const table = this.#has(word) ? this : this.#others.find((other) => other.#has(word));
    if (table === undefined) throw new Error('an argument is the result of no call that is known');
    return table.#read((word - table.#address) / 4);
  }

  #add(target: number, args: readonly Argument[], flags: number): number {
    const call = this.#count;
    const record = this.#record(call);
    if (record + RECORD_WORDS > this.#words.length) this.#grow();
    this.#write(record + TARGET, target);
    let indirect = 0;
    // A counted loop: iterators of pairs cost as much as all the rest.
    for (let i = 0; i < args.length; i++) {
      const argument = args[i] as Argument;
      const at = record + ARGUMENTS + 2 * i;
      if (typeof argument === 'number') {
        this.#write(at, argument);
      } else if (typeof argument === 'object' && 'resultOf' in argument) {
        const { table = this } = argument;
        if (table !== this && !this.#others.includes(table)) this.#others.push(table);
        this.#write(at, table.#resultAddress(argument.resultOf));
        indirect |= 1 << i;
      } else {
        this.#write(at, this.#point(argument));
      }
    }
    // The record may have been another call's.
    this.#words.fill(0, record + ARGUMENTS + 2 * args.length, record + RESULT);
    this.#words[record + FLAGS] = flags | indirect;
    this.#count = call + 1;
    this.#words[0] = this.#count;
    return call;
  }

  /** Makes a word of what is no number. */
  #point(argument: bigint | string | Uint8Array): number | bigint {
    if (typeof argument === 'bigint') return argument;
    const bytes = typeof argument === 'string' ? cString(argument) : argument;
    this.#keep.push(bytes);
    return port().addressOf(bytes);
  }

  /** Which system call it is. */
  systemCall(call: number): SyscallName {
    const number = this.#words[this.#record(call) + TARGET];
    const found = Object.entries(NUMBERS).find(([, value]) => value === number);
    return found?.[0] as SyscallName;
  }

  /** Whether a word is the address of something in this table. */
  #has(word: number): boolean {
    return word >= this.#address && word < this.#address + this.#words.byteLength;
  }

  #record(call: number): number {
    return HEADER_WORDS + RECORD_WORDS * call;
  }

  #flags(call: number): number {
    return this.#words[this.#record(call) + FLAGS] as number;
  }

  #resultAddress(call: number): number {
    return this.#address + TABLE.records + RECORD.size * call + RECORD.result;
  }

  #write(at: number, value: number | bigint): void {
    const words = this.#words;
    if (typeof value === 'bigint') {
      words[at] = Number(BigInt.asIntN(32, value));
      words[at + 1] = Number(BigInt.asIntN(32, value >> 32n));
    } else {
      words[at] = value;
      words[at + 1] = Math.floor(value / HIGH);
    }
  }

  #read(at: number): number {
    const words = this.#words;
    return (words[at + 1] as number) * HIGH + ((words[at] as number) >>> 0);
  }

  /** Doubles the room. Arguments that are results of its own calls move with it. */
  #grow(): void {
    const before = this.#address;
    const end = before + this.#words.byteLength;
    const words = new Int32Array(2 * this.#words.length);
    words.set(this.#words);
    // Another table, under way, may use results that are in it.
    this.#keep.push(new Uint8Array(this.#words.buffer));
    this.#words = words;
    this.#address = addressOf(words);
    for (let call = 0; call < this.#count; call++) {
      for (let flags = this.#flags(call) & 0x3f, i = 0; flags !== 0; flags >>>= 1, i++) {
        const at = this.#record(call) + ARGUMENTS + 2 * i;
        const word = this.#read(at);
        if ((flags & 1) !== 0 && word >= before && word < end)
          this.#write(at, word - before + this.#address);
      }
    }
  }
}

/** Whether a system call's result is an error. */
function failed(result: number): boolean {
  return result < 0 && result > NO_ERROR;
}

function addressOf({ buffer }: Int32Array): number {
  return port().addressOf(new Uint8Array(buffer));
}
