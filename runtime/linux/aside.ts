import { CLONE } from './constants.ts';
import { port } from './port.ts';
import {
  type Call,
  type EncodedTable,
  encodeTable,
  mapThreadStub,
  runTable,
  tableResults,
  trySyscall,
  writeWord,
} from './syscall.ts';
import { THREAD, THREAD_STATE } from './x86-64/stubs.ts';

/** `struct clone_args` of clone3(2), its first version. */
const CLONE_ARGS = { flags: 0, childTid: 16, stack: 40, stackSize: 48, size: 64 } as const;
const FUTEX_WAIT_PRIVATE = 128;
const FUTEX_WAKE_PRIVATE = 129;
/** What ends with its process uses a shared futex: set_tid_address(2). */
const FUTEX_WAIT = 0;
/** The stub calls one function and pushes nothing else. */
const STACK = 1024;

let thread: number | undefined;

/** Calls that are under way, or were made. */
export interface Submitted {
  /** Where their results will be, for calls that come later. */
  readonly table: EncodedTable;
  /** Waits for the last call. @returns the results, as `batch` has them */
  results(): number[];
}

/**
 * Makes system calls aside: a thread of the kernel's that runs nothing but the batch stub, so that the
 * engine's own thread goes on meanwhile. It has the process's memory, descriptors, current
 * directory and umask, no signal reaches it, and it ends with the process.
 */
export class Aside {
  readonly #memory = Buffer.alloc(THREAD.size);
  readonly #view = new DataView(this.#memory.buffer, this.#memory.byteOffset);
  readonly #state = new Int32Array(this.#memory.buffer, this.#memory.byteOffset + THREAD.state, 1);
  readonly #address = port().addressOf(this.#memory);
  /** The thread's number, until the kernel clears it at its end. */
  readonly #number = new Int32Array(1);
  readonly #stack = Buffer.alloc(STACK);
  /** What the thread may be looking at. */
  #table: EncodedTable | undefined;
  readonly #runs: boolean;

  /** Starts the thread. Where none can be had, calls are made at once. */
  constructor() {
    const args = new DataView(new ArrayBuffer(CLONE_ARGS.size));
    const { VM, FS, FILES, SIGHAND, THREAD: SAME, SYSVSEM, CHILD_CLEARTID } = CLONE;
    writeWord(args, CLONE_ARGS.flags, VM | FS | FILES | SIGHAND | SAME | SYSVSEM | CHILD_CLEARTID);
    writeWord(args, CLONE_ARGS.childTid, port().addressOf(new Uint8Array(this.#number.buffer)));
    writeWord(args, CLONE_ARGS.stack, port().addressOf(this.#stack));
    writeWord(args, CLONE_ARGS.stackSize, STACK);
    writeWord(this.#view, THREAD.cloneArgs, port().addressOf(new Uint8Array(args.buffer)));
    writeWord(this.#view, THREAD.cloneArgsSize, CLONE_ARGS.size);
    writeWord(this.#view, THREAD.fullMask, -1n);
    Atomics.store(this.#number, 0, 1);
    thread ??= mapThreadStub();
    port().invoke(thread, this.#address);
    this.#runs = this.#view.getInt32(THREAD.result, true) > 0;
  }

  /** Makes calls, as `batch` does, after those that were submitted before. */
  submit(calls: readonly Call[]): Submitted {
    const table = encodeTable(calls);
    this.#wait();
    if (this.#runs) {
      this.#table = table;
      writeWord(this.#view, THREAD.table, table.address);
      this.#tell(THREAD_STATE.work);
    } else {
      runTable(table);
    }
    return {
      table,
      results: () => {
        if (this.#table === table) this.#wait();
        return tableResults(table);
      },
    };
  }

  /** Waits for what is under way, and ends the thread. */
  end(): void {
    this.#wait();
    if (!this.#runs || Atomics.load(this.#number, 0) === 0) return;
    this.#tell(THREAD_STATE.end);
    const address = port().addressOf(new Uint8Array(this.#number.buffer));
    for (let left = Atomics.load(this.#number, 0); left !== 0; left = Atomics.load(this.#number, 0))
      trySyscall('futex', address, FUTEX_WAIT, left, 0);
  }

  #tell(state: number): void {
    Atomics.store(this.#state, 0, state);
    trySyscall('futex', this.#address + THREAD.state, FUTEX_WAKE_PRIVATE, 1);
  }

  #wait(): void {
    const { work } = THREAD_STATE;
    while (Atomics.load(this.#state, 0) === work)
      trySyscall('futex', this.#address + THREAD.state, FUTEX_WAIT_PRIVATE, work, 0);
    this.#table = undefined;
  }
}
