import { Aside } from '../../runtime/linux/aside.ts';
import { errnoCode, explainErrno } from '../../runtime/linux/errno.ts';
import { type Argument, type SyscallName, trySyscall } from '../../runtime/linux/syscall.ts';
import { Gathered, Handle, type Origin } from './gathered.ts';
import { printable } from './names.ts';
import { whyShort } from './short-write.ts';
import type { Time } from './tar/fields.ts';

/** A failure that knows the layer and the entry it belongs to. */
export class EntryError extends Error {
  constructor(origin: Origin, reason: string) {
    super(`${origin.layer}: ${printable(origin.name)}: ${reason}`);
    this.name = 'EntryError';
  }
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

/**
 * System calls, gathered until there are many, then made in their order while the next are
 * gathered: reading an archive and making files take about the same time. The first call that
 * fails ends the script, with an error that names the entry.
 */
export class Script {
  readonly #aside = new Aside();
  #gathered = new Gathered();
  /** What was gathered before: under way, or, when it is empty, free to be filled. */
  #before = new Gathered();
  #origin: Origin = { layer: '', name: new Uint8Array(0) };
  /** Descriptors that were open after the calls that are known to be made. */
  readonly #open = new Set<Handle>();

  /** Begins a step, whose calls are made for `origin`. Only here may the script run by itself. */
  begin(origin: Origin): void {
    if (this.#gathered.isFull) this.#handOn();
    this.#origin = origin;
    this.#gathered.begin(origin);
  }

  /**
   * Adds a call.
   *
   * @param tolerate whether to go on in spite of an errno
   */
  call(name: SyscallName, args: readonly Argument[], tolerate?: (errno: number) => boolean): void {
    this.#gathered.call(name, args, tolerate);
  }

  /** Adds a call that opens a descriptor. */
  open(name: 'openat' | 'openat2', args: readonly Argument[]): Handle {
    const { opens, table } = this.#gathered;
    const handle = new Handle(this.#gathered.call(name, args), table);
    opens.push(handle);
    return handle;
  }

  close(handle: Handle): void {
    const call = this.#gathered.call('close', [this.use(handle)]);
    this.#gathered.closes.push({ handle, call });
  }

  write(handle: Handle, bytes: Uint8Array, offset: number): void {
    const gathered = this.#gathered;
    const args = [this.use(handle), gathered.content(bytes), bytes.byteLength, offset];
    gathered.writes.push({ handle, call: gathered.call('pwrite64', args) });
  }

  /** Whether content in this memory is still to be written. */
  holds(memory: ArrayBufferLike): boolean {
    return this.#gathered.holds(memory) || this.#before.holds(memory);
  }

  /** A handle as an argument. */
  use(handle: Handle): Argument {
    return handle.fd >= 0 ? handle.fd : handle;
  }

  /** A string of one character a byte as a C string in memory. @returns its address */
  text(string: string): Argument {
    return this.#gathered.text(string);
  }

  /** A time as the `struct timespec[2]` of utimensat(2), for both access and modification. */
  times(time: Time): Argument {
    return this.#gathered.times(time);
  }

  /** The number of a handle's descriptor. Runs the script where that isn't known yet. */
  number(handle: Handle): number {
    if (handle.fd < 0) this.flush();
    return handle.fd;
  }

  /** Makes all calls. @throws EntryError for the first that fails */
  flush(): void {
    this.#handOn();
    this.#aside.wait();
    this.#settle(this.#before);
  }

  /** Drops what was not made yet, and closes what is open. */
  dispose(): void {
    this.#aside.end();
    this.#learn(this.#before);
    for (const { fd } of this.#open) trySyscall('close', fd);
    this.#open.clear();
    this.#gathered.clear();
    this.#before.clear();
  }

  /** Has the calls made that were gathered, once those under way have succeeded. */
  #handOn(): void {
    const made = this.#before;
    const next = this.#gathered;
    this.#aside.wait();
    // What is worth a look only for an error is looked at while the next are made.
    if (!made.table.succeeded) this.#settle(made);
    if (next.table.count > 0) this.#aside.submit(next.table);
    this.#before = next;
    this.#gathered = made;
    this.#settle(made);
    made.begin(this.#origin);
  }

  /** Takes note of what calls have come to. @throws EntryError for the first that failed */
  #settle(made: Gathered): void {
    this.#learn(made);
    const { table } = made;
    const failed = made.failure();
    if (failed >= 0) throw failure(made, failed, -table.result(failed));
    for (const { handle, call } of made.writes) {
      const length = table.argument(call, 2);
      const written = table.result(call);
      if (written === length) continue;
      const errno = whyShort(table, call, handle, made.opens.includes(handle));
      if (errno !== undefined) throw failure(made, call, errno);
      const origin = made.originOf(call);
      throw new EntryError(origin, `cannot write: only ${written} of ${length} bytes went in`);
    }
    made.clear();
  }

  /** Learns the numbers of descriptors that calls have opened, and which were closed. */
  #learn({ table, opens, closes }: Gathered): void {
    for (const handle of opens)
      if (handle.resultOf < table.done && table.result(handle.resultOf) >= 0)
        handle.fd = table.result(handle.resultOf);
    for (const { handle, call } of closes) {
      if (call >= table.done) continue;
      handle.fd = -1;
      this.#open.delete(handle);
    }
    for (const handle of opens) if (handle.fd >= 0) this.#open.add(handle);
  }
}

function failure(made: Gathered, call: number, errno: number): EntryError {
  const name = made.table.systemCall(call);
  const hint = errno === EINVAL ? INVALID[name] : undefined;
  const why = `${explainErrno(errno)}${hint === undefined ? '' : `: ${hint}`}`;
  return new EntryError(made.originOf(call), `cannot ${ATTEMPTS[name] ?? name}: ${why}`);
}
