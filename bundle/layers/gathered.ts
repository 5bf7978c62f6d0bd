import { CallTable, type ResultOf } from '../../runtime/linux/call-table.ts';
import { port } from '../../runtime/linux/port.ts';
import { type Argument, type SyscallName, writeWord } from '../../runtime/linux/syscall.ts';
import type { Time } from './tar/fields.ts';

/** What a call is made for: errors name it. */
export interface Origin {
  /** How errors call the layer. */
  readonly layer: string;
  /** The entry's name. */
  readonly name: Uint8Array;
}

/** A descriptor, which has a number only when the call that opens it was made. */
export class Handle implements ResultOf {
  /** -1 until it is known to be open, and when it was closed. */
  fd = -1;
  /** The call that opens it, and that call's table. */
  readonly resultOf: number;
  readonly table: CallTable;

  constructor(resultOf: number, table: CallTable) {
    this.resultOf = resultOf;
    this.table = table;
  }
}

/** A call that has to do with a descriptor. */
export interface Use {
  readonly handle: Handle;
  readonly call: number;
}

const MANY_CALLS = 4096;
/** Content that waits to be written, in bytes. */
const MUCH_CONTENT = 2 * 1024 * 1024;
const ARENA = 256 * 1024;
/** Room for the names and times of one step; what doesn't fit gets memory of its own. */
const ARENA_MARGIN = 8 * 1024;

/**
 * System calls that are gathered, then under way, and what tells what became of them. Names and
 * times lie in memory whose address is known; content is written from where it lies.
 */
export class Gathered {
  readonly table = new CallTable(MANY_CALLS);
  readonly opens: Handle[] = [];
  readonly closes: Use[] = [];
  readonly writes: Use[] = [];
  /** What the calls are made for, each from a call on. */
  readonly #origins: { readonly origin: Origin; readonly from: number }[] = [];
  readonly #tolerated = new Map<number, (errno: number) => boolean>();
  /** Bytes of content. */
  #content = 0;
  readonly #kept: ArrayBufferLike[] = [];
  /** The memory that content came from last, and its address. */
  #source: ArrayBufferLike | undefined;
  #sourceBase = 0;

  readonly #arena = Buffer.allocUnsafeSlow(ARENA);
  readonly #view = new DataView(this.#arena.buffer);
  readonly #base = port().addressOf(this.#arena);
  #used = 0;

  /** Whether it is time to make the calls. */
  get isFull(): boolean {
    const { count } = this.table;
    return (
      count >= MANY_CALLS || this.#content >= MUCH_CONTENT || this.#used > ARENA - ARENA_MARGIN
    );
  }

  /** Says what the calls that follow are made for. */
  begin(origin: Origin): void {
    this.#origins.push({ origin, from: this.table.count });
  }

  /**
   * Adds a call.
   *
   * @param tolerate whether to go on in spite of an errno
   * @returns its number
   */
  call(
    name: SyscallName,
    args: readonly Argument[],
    tolerate?: (errno: number) => boolean,
  ): number {
    const call = this.table.addSystemCall(name, args, tolerate === undefined);
    if (tolerate !== undefined) this.#tolerated.set(call, tolerate);
    return call;
  }

  /** A string of one character a byte as a C string in memory. @returns its address */
  text(string: string): Argument {
    if (this.#used + string.length + 1 > ARENA) return Buffer.from(`${string}\0`, 'latin1');
    const start = this.#used;
    this.#arena.write(string, start, 'latin1');
    this.#arena[start + string.length] = 0;
    this.#used += string.length + 1;
    return this.#base + start;
  }

  /** A time as the `struct timespec[2]` of utimensat(2), for both access and modification. */
  times(time: Time): Argument {
    const fits = this.#used + 32 <= ARENA;
    const view = fits ? this.#view : new DataView(new ArrayBuffer(32));
    const start = fits ? this.#used : 0;
    for (let at = start; at < start + 32; at += 16) {
      writeWord(view, at, time.seconds);
      writeWord(view, at + 8, time.nanoseconds);
    }
    if (!fits) return new Uint8Array(view.buffer);
    this.#used += 32;
    return this.#base + start;
  }

  /** The address of bytes, which stay where they are until the calls were made. */
  content(bytes: Uint8Array): number {
    const { buffer, byteOffset, byteLength } = bytes;
    if (buffer !== this.#source) {
      this.#source = buffer;
      this.#sourceBase = port().addressOf(new Uint8Array(buffer));
      this.#kept.push(buffer);
    }
    this.#content += byteLength;
    return this.#sourceBase + byteOffset;
  }

  /** Whether content in this memory is still to be written. */
  holds(memory: ArrayBufferLike): boolean {
    return this.#kept.includes(memory);
  }

  /** The first call that failed, of those that were made, and is not tolerated; -1 for none. */
  failure(): number {
    const { table } = this;
    const { done } = table;
    for (let call = 0; call < done; call++) {
      const result = table.result(call);
      if (result < 0 && this.#tolerated.get(call)?.(-result) !== true) return call;
    }
    return -1;
  }

  /** What a call was made for. */
  originOf(call: number): Origin {
    const found = this.#origins.findLast(({ from }) => from <= call);
    return found?.origin ?? { layer: '', name: new Uint8Array(0) };
  }

  /** Forgets the calls, that others can be gathered, for the same as the last. */
  clear(): void {
    this.table.clear();
    this.opens.length = 0;
    this.closes.length = 0;
    this.writes.length = 0;
    this.#origins.length = 0;
    this.#tolerated.clear();
    this.#content = 0;
    this.#kept.length = 0;
    this.#source = undefined;
    this.#used = 0;
  }
}
