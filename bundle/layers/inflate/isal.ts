import type { SharedLibrary } from '../../../runtime/linux/library.ts';
import { gzipHeaderLength } from './gzip-header.ts';
import { type InflateStep, IsalInflater } from './isal-inflater.ts';
import { type Compressed, refuseContent, refuseRest } from './source.ts';

/** Bytes that are inflated into one piece of memory. */
const OUTPUT = 1024 * 1024;
/** With less room than this, new memory is taken. */
const LITTLE = 64 * 1024;
/** Headers may have a name and a comment of any length; no honest one has more than this. */
const LONGEST_HEADER = 1024 * 1024;

/**
 * Inflates gzip with the library. While it works in its own thread, the caller has what was
 * inflated before, and more is read. Several members are one content; whatever comes after the
 * last must be zeros, as some writers pad their output.
 *
 * @param library what `loadIsal` found
 */
export async function* throughIsal(
  source: Compressed,
  library: SharedLibrary,
): AsyncGenerator<Uint8Array> {
  const input = new Input(source);
  const inflater = new IsalInflater(library);
  try {
    while (await input.more()) {
      if (input.rest[0] === 0) break;
      await skipHeader(input);
      inflater.begin();
      yield* inflateMember(input, inflater);
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

async function* inflateMember(input: Input, inflater: IsalInflater): AsyncGenerator<Uint8Array> {
  let memory = Buffer.allocUnsafeSlow(OUTPUT);
  let made: Uint8Array = memory.subarray(0, 0);
  let step: InflateStep;
  do {
    // What did not fit in the output comes without any input.
    const isFull = made.byteLength > 0 && made.byteLength === memory.byteLength;
    if (!(await input.more()) && !isFull) throw new Error('its gzip data is truncated');
    if (memory.byteLength - made.byteLength < LITTLE) memory = Buffer.allocUnsafeSlow(OUTPUT);
    else memory = memory.subarray(made.byteLength);
    inflater.start(input.rest, memory);
    // Both happen while the library works.
    if (made.byteLength > 0) yield made;
    await input.readAhead();
    step = naming(() => inflater.finish());
    input.take(step.used);
    made = memory.subarray(0, step.made);
  } while (!step.ended);
  if (made.byteLength > 0) yield made;
}

function naming<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw new Error(`its gzip data is damaged: ${(error as Error).message}`, { cause: error });
  }
}
