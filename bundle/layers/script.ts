import { explainErrno } from '../../runtime/linux/errno.ts';
import { port } from '../../runtime/linux/port.ts';
import {
  type Argument,
  batch,
  type Call,
  type SyscallName,
  trySyscall,
  writeWord,
} from '../../runtime/linux/syscall.ts';
import { printable } from './names.ts';
import { whyShort } from './short-write.ts';
import type { Time } from './tar/fields.ts';

/** What a call is made for: errors name it. */
export interface Origin {
  /** How errors call the layer. */
  readonly layer: string;
  /** The entry's name. */
  readonly name: Uint8Array;
}

/** A failure that knows the layer and the entry it belongs to. */
export class EntryError extends Error {
  constructor(origin: Origin, reason: string) {
    super(`${origin.layer}: ${printable(origin.name)}: ${reason}`);
    this.name = 'EntryError';
  }
}

/** A descriptor, which has a number only when the call that opens it was made. */
export class Handle {
  /** -1 until it is open, and when it was closed. */
  fd = -1;
  /** The call of the script under way that opens it. */
  call = -1;
}

interface Note {
  readonly origin: Origin;
  readonly tolerate?: ((errno: number) => boolean) | undefined;
  readonly opens?: Handle;
  readonly closes?: Handle;
  /** The file that a write is for. */
  readonly writes?: Handle;
}

/** What was tried, for “cannot …”. */
const ATTEMPTS: Partial<Record<SyscallName, string>> = {
  openat: 'create the file',
  openat2: 'open its directory',
  mkdirat: 'create the directory',
  mknodat: 'create the node',
  symlinkat: 'create the symbolic link',
  linkat: 'create the hard link',
  renameat: 'put the file in its place',
  unlinkat: 'remove what was there',
  pwrite64: 'write',
  ftruncate: 'set its size',
  fchown: 'set its owner',
  fchownat: 'set its owner',
  fchmod: 'set its mode',
  fchmodat: 'set its mode',
  fsetxattr: 'set an extended attribute',
  lsetxattr: 'set an extended attribute',
  utimensat: 'set its modification time',
};

const ARENA = 256 * 1024;
/** Room for the names and times of one step; what doesn't fit gets memory of its own. */
const ARENA_MARGIN = 8 * 1024;
const MANY_CALLS = 4096;
/** Content that waits to be written, in bytes. */
const MUCH_CONTENT = 2 * 1024 * 1024;

/**
 * System calls, gathered until there are enough to be worth one call into native code, then
 * made in their order. The first that fails ends the script, with an error that names the
 * entry. Names and times lie in one piece of memory whose address is known; content is written
 * from where it lies.
 */
export class Script {
  #calls: Call[] = [];
  #notes: Note[] = [];
  /** Memory that the calls point at. */
  #kept: Uint8Array[] = [];
  #content = 0;
  #origin: Origin = { layer: '', name: new Uint8Array(0) };

  readonly #arena = Buffer.allocUnsafeSlow(ARENA);
  readonly #view = new DataView(this.#arena.buffer);
  readonly #base = port().addressOf(this.#arena);
  #used = 0;
  /** The memory that content came from last, and its address. */
  #source: ArrayBufferLike | undefined;
  #sourceBase = 0;

  readonly #open = new Set<Handle>();

  /** Begins a step, whose calls are made for `origin`. Only here may the script run by itself. */
  begin(origin: Origin): void {
    if (
      this.#calls.length >= MANY_CALLS ||
      this.#content >= MUCH_CONTENT ||
      this.#used > ARENA - ARENA_MARGIN
    )
      this.flush();
    this.#origin = origin;
  }

  /**
   * Adds a call.
   *
   * @param tolerate whether to go on in spite of an errno
   */
  call(name: SyscallName, args: readonly Argument[], tolerate?: (errno: number) => boolean): void {
    this.#add(name, args, { origin: this.#origin, tolerate });
  }

  /** Adds a call that opens a descriptor. */
  open(name: 'openat' | 'openat2', args: readonly Argument[]): Handle {
    const handle = new Handle();
    handle.call = this.#calls.length;
    this.#open.add(handle);
    this.#add(name, args, { origin: this.#origin, opens: handle });
    return handle;
  }

  close(handle: Handle): void {
    this.#add('close', [this.use(handle)], { origin: this.#origin, closes: handle });
  }

  write(handle: Handle, bytes: Uint8Array, offset: number): void {
    const args = [this.use(handle), this.content(bytes), bytes.byteLength, offset];
    this.#add('pwrite64', args, { origin: this.#origin, writes: handle });
    this.#content += bytes.byteLength;
  }

  /** A handle as an argument. */
  use(handle: Handle): Argument {
    return handle.fd >= 0 ? handle.fd : { resultOf: handle.call };
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
    for (const at of [start, start + 16]) {
      writeWord(view, at, time.seconds);
      writeWord(view, at + 8, time.nanoseconds);
    }
    if (!fits) return new Uint8Array(view.buffer);
    this.#used += 32;
    return this.#base + start;
  }

  /** The address of bytes, which stay where they are until the script was run. */
  content(bytes: Uint8Array): number {
    const { buffer, byteOffset } = bytes;
    if (buffer !== this.#source) {
      this.#source = buffer;
      this.#sourceBase = port().addressOf(new Uint8Array(buffer));
    }
    this.#kept.push(bytes);
    return this.#sourceBase + byteOffset;
  }

  /** The number of a handle's descriptor. Runs the script where that isn't known yet. */
  number(handle: Handle): number {
    if (handle.fd < 0) this.flush();
    return handle.fd;
  }

  /** Makes all calls. @throws EntryError for the first that fails */
  flush(): void {
    const calls = this.#calls;
    const notes = this.#notes;
    const kept = this.#kept;
    this.#calls = [];
    this.#notes = [];
    this.#kept = [];
    this.#content = 0;
    this.#used = 0;
    if (calls.length === 0) return;
    const results = batch(calls);
    this.#settle(notes, results);
    this.#check(calls, notes, results);
    // Held until here, for the kernel reads it while the batch runs.
    kept.length = 0;
  }

  /** Drops what was not made yet, and closes what is open. */
  dispose(): void {
    this.#calls = [];
    this.#notes = [];
    this.#kept = [];
    for (const { fd } of this.#open) if (fd >= 0) trySyscall('close', fd);
    this.#open.clear();
  }

  #add(name: SyscallName, args: readonly Argument[], note: Note): void {
    this.#calls.push({ name, args, stopOnError: note.tolerate === undefined });
    this.#notes.push(note);
  }

  #settle(notes: readonly Note[], results: readonly number[]): void {
    for (const [i, result] of results.entries()) {
      const { opens, closes } = notes[i] as Note;
      if (opens !== undefined && result >= 0) opens.fd = result;
      if (closes !== undefined) {
        closes.fd = -1;
        this.#open.delete(closes);
      }
    }
  }

  #check(calls: readonly Call[], notes: readonly Note[], results: readonly number[]): void {
    for (const [i, result] of results.entries()) {
      const { name, args } = calls[i] as Call;
      const { origin, tolerate, writes } = notes[i] as Note;
      if (result < 0 && tolerate?.(-result) !== true) throw failure(origin, name, -result);
      if (writes !== undefined && result !== args[2]) {
        const opener = notes.findIndex(({ opens }) => opens === writes);
        const errno = whyShort(calls, results, i, writes.fd, opener);
        if (errno !== undefined) throw failure(origin, name, errno);
        throw new EntryError(origin, `cannot write: only ${result} of ${args[2]} bytes went in`);
      }
    }
  }
}

function failure(origin: Origin, name: SyscallName, errno: number): EntryError {
  return new EntryError(origin, `cannot ${ATTEMPTS[name] ?? name}: ${explainErrno(errno)}`);
}
