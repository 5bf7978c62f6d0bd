import type { SharedLibrary } from '../../../runtime/linux/library.ts';
import { gzipHeaderLength } from './gzip-header.ts';
import { type InflateStep, IsalInflater } from './isal-inflater.ts';
import { type Compressed, refuseContent, refuseRest } from './source.ts';

/** Bytes that are inflated into one piece of memory. */
const OUTPUT = 1024 * 1024;
/** With less room than this, other memory is taken. */
const LITTLE = 64 * 1024;
/** Pieces of memory that are used again and again. */
const POOL = 8;
/** Headers may have a name and a comment of any length; no honest one has more than this. */
const LONGEST_HEADER = 1024 * 1024;

/**
 * Inflates gzip with the library. While it works in its own thread, the caller has what was
 * inflated before, and more is read. Several members are one content; whatever comes after the
 * last must be zeros, as some writers pad their output.
 *
 * @param library what `loadIsal` found
 * @param isHeld as a `Decompressor` has it
 */
export async function* throughIsal(
  source: Compressed,
  library: SharedLibrary,
  isHeld: (memory: ArrayBufferLike) => boolean = () => true,
): AsyncGenerator<Uint8Array> {
  const output = new Output(isHeld);
  const input = new Input(source);
  const inflater = new IsalInflater(library);
  try {
    while (await input.more()) {
      if (input.rest[0] === 0) break;
      await skipHeader(input);
      inflater.begin();
      yield* inflateMember(input, inflater, output);
    }
  } finally {
    inflater.close();
  }
  refuseContent(input.rest, 'gzip');
  await refuseRest(input, 'gzip');
}

/** Compressed bytes, of which some are at hand. */
class Input implements AsyncIterator<Uint8Array> {
  readonly #source: Compressed;
  /** What comes after `rest`. */
  #ahead: Uint8Array | undefined;
  /** Bytes that are at hand. */
  rest: Uint8Array = new Uint8Array(0);

  constructor(source: Compressed) {
    this.#source = source;
  }

  /** Sees to it that there are bytes at hand. @returns false at the end */
  async more(): Promise<boolean> {
    while (this.rest.byteLength === 0) {
      await this.readAhead();
      if (this.#ahead === undefined) return false;
      this.rest = this.#ahead;
      this.#ahead = undefined;
    }
    return true;
  }

  /** Adds to the bytes that are at hand. @returns false at the end */
  async extend(): Promise<boolean> {
    await this.readAhead();
    if (this.#ahead === undefined) return false;
    this.rest = Buffer.concat([this.rest, this.#ahead]);
    this.#ahead = undefined;
    return true;
  }

  /** Reads the next bytes, where that has not been done yet. */
  async readAhead(): Promise<void> {
    if (this.#ahead !== undefined) return;
    const next = await this.#source.next();
    if (next.done !== true) this.#ahead = next.value;
  }

  /** Gives out what comes after `rest`. */
  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    await this.readAhead();
    const value = this.#ahead;
    this.#ahead = undefined;
    return value === undefined ? { done: true, value } : { done: false, value };
  }

  /** Says that bytes at hand were used. */
  take(length: number): void {
    this.rest = this.rest.subarray(length);
  }
}

async function skipHeader(input: Input): Promise<void> {
  let length = naming(() => gzipHeaderLength(input.rest));
  while (length === undefined) {
    if (input.rest.byteLength > LONGEST_HEADER)
      throw new Error('its gzip data is damaged: a header of more than 1 MiB');
    if (!(await input.extend())) throw new Error('its gzip data is truncated');
    length = naming(() => gzipHeaderLength(input.rest));
  }
  input.take(length);
}

/**
 * Memory for what is inflated, used again when nobody needs what is in it: new memory comes page
 * by page, each by a fault.
 */
class Output {
  readonly #isHeld: (memory: ArrayBufferLike) => boolean;
  readonly #pool: Buffer[] = [];
  /** What is left of the one in use. */
  #room: Buffer = Buffer.alloc(0);

  constructor(isHeld: (memory: ArrayBufferLike) => boolean) {
    this.#isHeld = isHeld;
  }

  /** Where there is room. What was taken last stays as it is. */
  room(): Buffer {
    if (this.#room.byteLength < LITTLE) this.#room = this.#other();
    return this.#room;
  }

  /** Takes the beginning of the room. */
  take(length: number): Uint8Array {
    const taken = this.#room.subarray(0, length);
    this.#room = this.#room.subarray(length);
    return taken;
  }

  #other(): Buffer {
    const { buffer: current } = this.#room;
    const isFree = ({ buffer }: Buffer) => buffer !== current && !this.#isHeld(buffer);
    const free = this.#pool.find(isFree);
    if (free !== undefined) return free;
    const memory = Buffer.allocUnsafeSlow(OUTPUT);
    if (this.#pool.length < POOL) this.#pool.push(memory);
    return memory;
  }
}

async function* inflateMember(
  input: Input,
  inflater: IsalInflater,
  output: Output,
): AsyncGenerator<Uint8Array> {
  let made: Uint8Array | undefined;
  let step: InflateStep;
  let isFull = false;
  do {
    // What did not fit in the output comes without any input.
    if (!(await input.more()) && !isFull) throw new Error('its gzip data is truncated');
    const room = output.room();
    inflater.start(input.rest, room);
    // Both happen while the library works.
    if (made !== undefined) yield made;
    await input.readAhead();
    step = naming(() => inflater.finish());
    input.take(step.used);
    isFull = step.made === room.byteLength;
    made = step.made > 0 ? output.take(step.made) : undefined;
  } while (!step.ended);
  if (made !== undefined) yield made;
}

function naming<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw new Error(`its gzip data is damaged: ${(error as Error).message}`, { cause: error });
  }
}
