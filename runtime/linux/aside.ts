import type { CallTable } from './call-table.ts';
import { CLONE } from './constants.ts';
import { port } from './port.ts';
import { mapThreadStub, runMixedTable, syscall, trySyscall, writeWord } from './syscall.ts';
import { THREAD, THREAD_STATE } from './x86-64/stubs.ts';

/** `struct clone_args` of clone3(2), its first version. */
const CLONE_ARGS = { flags: 0, childTid: 16, stack: 40, stackSize: 48, size: 64 } as const;
const FUTEX_WAIT_PRIVATE = 128;
const FUTEX_WAKE_PRIVATE = 129;
/** What ends with its process uses a shared futex: set_tid_address(2). */
const FUTEX_WAIT = 0;

const PAGE = 4096;
/** Bytes of a stack, of which only what is used takes memory; a page below it that may not be used. */
const STACK = 256 * 1024;
const PROT = { READ: 1, WRITE: 2 } as const;
const MAP = { PRIVATE: 2, ANONYMOUS: 0x20, NORESERVE: 0x4000, STACK: 0x20000 } as const;

let thread: number | undefined;

/** Those whose threads have not ended, and the table of each: their memory stays what it is, whoever forgets them. */
const running = new Map<Aside, CallTable | undefined>();

/**
 * Makes calls aside: a thread of the kernel's that runs nothing but the batch stub, so that the
 * engine's own thread goes on meanwhile. It has the process's memory, descriptors, current
 * directory and umask, no signal reaches it, and it ends with the process.
 *
 * The C library does not know the thread, which has the thread-local storage of the one that
 * made it. So of libraries only such functions may be called as need neither: what computes, and
 * allocates nothing.
 */
export class Aside {
  readonly #memory = Buffer.alloc(THREAD.size);
  readonly #view = new DataView(this.#memory.buffer, this.#memory.byteOffset);
  readonly #state = new Int32Array(this.#memory.buffer, this.#memory.byteOffset + THREAD.state, 1);
  readonly #address = port().addressOf(this.#memory);
  /** The thread's number, until the kernel clears it at its end. */
  readonly #number = new Int32Array(1);
  readonly #stack = mapStack();
  /** What the kernel is told of the thread. */
  readonly #cloneArgs = new DataView(new ArrayBuffer(CLONE_ARGS.size));
  readonly #runs: boolean;

  /** Starts the thread. Where none can be had, calls are made at once. */
  constructor() {
    const args = this.#cloneArgs;
    const { VM, FS, FILES, SIGHAND, THREAD: SAME, SYSVSEM, CHILD_CLEARTID } = CLONE;
    writeWord(args, CLONE_ARGS.flags, VM | FS | FILES | SIGHAND | SAME | SYSVSEM | CHILD_CLEARTID);
    writeWord(args, CLONE_ARGS.childTid, port().addressOf(new Uint8Array(this.#number.buffer)));
    writeWord(args, CLONE_ARGS.stack, this.#stack + PAGE);
    writeWord(args, CLONE_ARGS.stackSize, STACK);
    writeWord(this.#view, THREAD.cloneArgs, port().addressOf(new Uint8Array(args.buffer)));
    writeWord(this.#view, THREAD.cloneArgsSize, CLONE_ARGS.size);
    writeWord(this.#view, THREAD.fullMask, -1n);
    Atomics.store(this.#number, 0, 1);
    thread ??= mapThreadStub();
    port().invoke(thread, this.#address);
    this.#runs = this.#view.getInt32(THREAD.result, true) > 0;
    if (this.#runs) running.set(this, undefined);
  }

  /** Whether there is a thread: else the caller makes the calls itself. */
  get runs(): boolean {
    return this.#runs;
  }

  /**
   * Has a table's calls made, after those that were submitted before. The caller keeps the table as
   * it is, and all that its calls point at, until `wait` was called, or another was submitted.
   */
  submit(table: CallTable): void {
    this.wait();
    if (this.#runs) {
      running.set(this, table);
      writeWord(this.#view, THREAD.table, table.address);
      this.#tell(THREAD_STATE.work);
    } else {
      runMixedTable(table);
    }
  }

  /** Waits until all calls were made. */
  wait(): void {
    const { work } = THREAD_STATE;
    while (Atomics.load(this.#state, 0) === work)
      trySyscall('futex', this.#address + THREAD.state, FUTEX_WAIT_PRIVATE, work, 0);
  }

  /** Waits for what is under way, and ends the thread. */
  end(): void {
    this.wait();
    if (Atomics.load(this.#number, 0) === 0) return;
    if (this.#runs) this.#join();
    else Atomics.store(this.#number, 0, 0);
    trySyscall('munmap', this.#stack, PAGE + STACK);
  }

  #join(): void {
    this.#tell(THREAD_STATE.end);
    const address = port().addressOf(new Uint8Array(this.#number.buffer));
    for (let left = Atomics.load(this.#number, 0); left !== 0; left = Atomics.load(this.#number, 0))
      trySyscall('futex', address, FUTEX_WAIT, left, 0);
    running.delete(this);
  }

  #tell(state: number): void {
    Atomics.store(this.#state, 0, state);
    trySyscall('futex', this.#address + THREAD.state, FUTEX_WAKE_PRIVATE, 1);
  }
}

/** Maps a stack above a page that stops what goes beyond it. @returns where that page begins */
function mapStack(): number {
  const flags = MAP.PRIVATE | MAP.ANONYMOUS | MAP.NORESERVE | MAP.STACK;
  const start = syscall('mmap', 0, PAGE + STACK, PROT.READ | PROT.WRITE, flags, -1, 0);
  syscall('mprotect', start, PAGE, 0);
  return start;
}
