import { Aside, type Submitted } from '../../runtime/linux/aside.ts';
import { errnoCode, explainErrno } from '../../runtime/linux/errno.ts';
import { port } from '../../runtime/linux/port.ts';
import {
  type Argument,
  type Call,
  type EncodedTable,
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
  /** -1 until it is known to be open, and when it was closed. */
  fd = -1;
  /** The call that opens it. */
  call = -1;
  /** The table of that call; undefined until it was handed on. */
  table: EncodedTable | undefined;
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

const UNMAPPED =
  'this user namespace has no such user or group: map more (/etc/subuid, /etc/subgid), or give --rootless';

const EINVAL = errnoCode('EINVAL');

/** What an invalid argument means. */
const INVALID: Partial<Record<SyscallName, string>> = { fchown: UNMAPPED, fchownat: UNMAPPED };

/** Calls that were handed on, with what is needed to tell what became of them. */
interface UnderWay {
  readonly submitted: Submitted;
  readonly calls: readonly Call[];
  readonly notes: readonly Note[];
  /** Memory that the calls point at. */
  readonly kept: readonly unknown[];
}

const ARENA = 256 * 1024;
/** Room for the names and times of one step; what doesn't fit gets memory of its own. */
const ARENA_MARGIN = 8 * 1024;
const MANY_CALLS = 4096;
/** Content that waits to be written, in bytes. */
const MUCH_CONTENT = 2 * 1024 * 1024;

/** Memory for names and times. */
class Arena {
  readonly bytes = Buffer.allocUnsafeSlow(ARENA);
  readonly view = new DataView(this.bytes.buffer);
  readonly base = port().addressOf(this.bytes);
}

/**
 * System calls, gathered until there are many, then made in their order while the next are
 * gathered: reading an archive and making files take about the same time. The first call that fails
 * ends the script, with an error that names the entry. Names and times lie in memory whose
 * address is known; content is written from where it lies.
 */
export class Script {
  #calls: Call[] = [];
  #notes: Note[] = [];
  #kept: unknown[] = [];
  readonly #aside = new Aside();
  #underWay: UnderWay | undefined;
  #content = 0;
  #origin: Origin = { layer: '', name: new Uint8Array(0) };

  #arena = new Arena();
  /** Of the calls under way, or free. */
  #other = new Arena();
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
      this.#handOn();
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
    const { fd, call, table } = handle;
    if (fd >= 0) return fd;
    return table === undefined ? { resultOf: call } : { resultOf: call, table };
  }

  /** A string of one character a byte as a C string in memory. @returns its address */
  text(string: string): Argument {
    if (this.#used + string.length + 1 > ARENA) return Buffer.from(`${string}\0`, 'latin1');
    const start = this.#used;
    const { bytes, base } = this.#arena;
    bytes.write(string, start, 'latin1');
    bytes[start + string.length] = 0;
    this.#used += string.length + 1;
    return base + start;
  }

  /** A time as the `struct timespec[2]` of utimensat(2), for both access and modification. */
  times(time: Time): Argument {
    const fits = this.#used + 32 <= ARENA;
    const view = fits ? this.#arena.view : new DataView(new ArrayBuffer(32));
    const start = fits ? this.#used : 0;
    for (const at of [start, start + 16]) {
      writeWord(view, at, time.seconds);
      writeWord(view, at + 8, time.nanoseconds);
    }
    if (!fits) return new Uint8Array(view.buffer);
    this.#used += 32;
    return this.#arena.base + start;
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
    this.#handOn();
    this.#settle();
  }

  /** Drops what was not made yet, and closes what is open. */
  dispose(): void {
    this.#calls = [];
    this.#notes = [];
    this.#kept = [];
    try {
      this.#settle();
    } catch {
      // What failed meanwhile is of no use any more.
    }
    this.#aside.end();
    for (const { fd } of this.#open) if (fd >= 0) trySyscall('close', fd);
    this.#open.clear();
  }

  /** Has the calls made that were gathered, once those under way have succeeded. */
  #handOn(): void {
    const before = this.#underWay?.submitted.table;
    this.#settle();
    const calls = this.#calls;
    const notes = this.#notes;
    if (calls.length === 0) return;
    const submitted = this.#aside.submit(calls);
    for (const { opens } of notes) if (opens !== undefined) opens.table = submitted.table;
    // Held while the kernel reads it: content, and results of the calls that were made before.
    this.#underWay = { submitted, calls, notes, kept: [this.#kept, before] };
    this.#calls = [];
    this.#notes = [];
    this.#kept = [];
    this.#content = 0;
    this.#used = 0;
    [this.#arena, this.#other] = [this.#other, this.#arena];
  }

  /** Waits for the calls under way. @throws EntryError for the first that failed */
  #settle(): void {
    const made = this.#underWay;
    if (made === undefined) return;
    this.#underWay = undefined;
    const results = made.submitted.results();
    for (let i = 0; i < results.length; i++) {
      const result = results[i] as number;
      const { opens, closes } = made.notes[i] as Note;
      if (opens !== undefined && result >= 0) opens.fd = result;
      if (closes !== undefined) {
        closes.fd = -1;
        this.#open.delete(closes);
      }
    }
    this.#check(made, results);
  }

  #add(name: SyscallName, args: readonly Argument[], note: Note): void {
    this.#calls.push({ name, args, stopOnError: note.tolerate === undefined });
    this.#notes.push(note);
  }

  #check({ calls, notes }: UnderWay, results: readonly number[]): void {
    for (let i = 0; i < results.length; i++) {
      const result = results[i] as number;
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
  const hint = errno === EINVAL ? INVALID[name] : undefined;
  const why = `${explainErrno(errno)}${hint === undefined ? '' : `: ${hint}`}`;
  return new EntryError(origin, `cannot ${ATTEMPTS[name] ?? name}: ${why}`);
}
