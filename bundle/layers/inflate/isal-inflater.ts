import { Aside } from '../../../runtime/linux/aside.ts';
import { CallTable } from '../../../runtime/linux/call-table.ts';
import { LibraryMissing, SharedLibrary } from '../../../runtime/linux/library.ts';
import { port } from '../../../runtime/linux/port.ts';
import { callFunctions, writeWord } from '../../../runtime/linux/syscall.ts';

/** Its major version says that what is below holds. */
const NAME = 'libisal.so.2';

/** `struct inflate_state` of igzip_lib.h on x86-64; behind its end there is room to spare. */
const STATE = {
  nextOut: 0,
  availableOut: 8,
  nextIn: 16,
  availableIn: 32,
  block: 21_160,
  wrapper: 21_172,
  size: 128 * 1024,
} as const;
/** ISAL_GZIP_NO_HDR_VER: a gzip member behind its header, whose checksum and length are compared. */
const MEMBER = 6;
/** ISAL_BLOCK_FINISH */
const FINISHED = 5;

/** ISAL_INVALID_BLOCK and so on; in zlib's words, where it tells the same. */
const DAMAGE: Readonly<Record<number, string>> = {
  [-1]: 'invalid block',
  [-2]: 'invalid code',
  [-3]: 'invalid distance too far back',
  [-6]: 'incorrect data check',
};

/** A member behind its header, and what it inflates to: what the library is tried with. */
const SAMPLE = Buffer.from('2b4ece2f5728462100f9e218d613000000', 'hex');
const SAMPLE_CONTENT = 'scow scow scow scow';

/** What became of one step. */
export interface InflateStep {
  /** Bytes of input that were used. */
  readonly used: number;
  /** Bytes of output. */
  readonly made: number;
  /** Whether the member has ended. */
  readonly ended: boolean;
}

let found: SharedLibrary | undefined | null;

/**
 * Loads the library, and tries it when it is first loaded.
 *
 * @returns undefined where it is not installed, or is another than we know
 */
export function loadIsal(): SharedLibrary | undefined {
  if (found === undefined) found = loadLibrary() ?? null;
  return found ?? undefined;
}

function loadLibrary(): SharedLibrary | undefined {
  try {
    const library = SharedLibrary.load(NAME);
    const hasAll = library.has('isal_inflate_init') && library.has('isal_inflate');
    return hasAll && works(library) ? library : undefined;
  } catch (error) {
    if (error instanceof LibraryMissing) return undefined;
    throw error;
  }
}

/** Whether the state is laid out as we know it: tried with a member, whole and damaged. */
function works(library: SharedLibrary): boolean {
  const inflater = new IsalInflater(library);
  const output = Buffer.alloc(2 * SAMPLE_CONTENT.length);
  const damaged = Buffer.from(SAMPLE);
  damaged.writeUInt32LE(SAMPLE_CONTENT.length + 1, damaged.length - 4);
  try {
    inflater.begin();
    inflater.start(SAMPLE, output);
    const { used, made, ended } = inflater.finish();
    const content = output.toString('latin1', 0, made);
    if (used !== SAMPLE.length || content !== SAMPLE_CONTENT || !ended) return false;
    inflater.begin();
    inflater.start(damaged, output);
    inflater.finish();
    return false;
  } catch (error) {
    return (error as Error).message === DAMAGE[-6];
  } finally {
    inflater.close();
  }
}

/**
 * Inflates the members of a gzip file with the library of Intel's Intelligent Storage
 * Acceleration, in a thread of the kernel's, piece by piece.
 */
export class IsalInflater {
  readonly #state = Buffer.alloc(STATE.size);
  readonly #view = new DataView(this.#state.buffer, this.#state.byteOffset);
  readonly #init: number;
  readonly #step = new CallTable(1);
  readonly #aside = new Aside();
  /** What the thread works on; held until it has done so. */
  #input: Uint8Array = new Uint8Array(0);
  #output = this.#input;

  /** @param library what `loadIsal` found. The thread that is started ends with `close` */
  constructor(library: SharedLibrary) {
    this.#init = library.address('isal_inflate_init');
    this.#step.addFunction(library.address('isal_inflate'), [this.#state]);
  }

  /** Begins a member, behind its header. */
  begin(): void {
    callFunctions([{ address: this.#init, args: [this.#state] }]);
    this.#view.setUint32(STATE.wrapper, MEMBER, true);
  }

  /** Begins to inflate: as much of the input as there is room for in the output. */
  start(input: Uint8Array, output: Uint8Array): void {
    this.#input = input;
    this.#output = output;
    writeWord(this.#view, STATE.nextIn, port().addressOf(input));
    this.#view.setUint32(STATE.availableIn, input.byteLength, true);
    writeWord(this.#view, STATE.nextOut, port().addressOf(output));
    this.#view.setUint32(STATE.availableOut, output.byteLength, true);
    this.#aside.submit(this.#step);
  }

  /** Waits for the end of what was started. @throws Error that says how the member is damaged */
  finish(): InflateStep {
    this.#aside.wait();
    // An int: the upper half of the register means nothing.
    const result = this.#step.result(0) | 0;
    if (result < 0) throw new Error(DAMAGE[result] ?? `error ${result}`);
    return {
      used: this.#input.byteLength - this.#view.getUint32(STATE.availableIn, true),
      made: this.#output.byteLength - this.#view.getUint32(STATE.availableOut, true),
      ended: this.#view.getUint32(STATE.block, true) === FINISHED,
    };
  }

  /** Ends the thread. */
  close(): void {
    this.#aside.end();
  }
}
