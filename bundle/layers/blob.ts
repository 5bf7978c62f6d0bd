/** The bytes of a blob, with a look ahead, counted as they are read. */
export class LayerBlob implements AsyncIterator<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #count: (bytes: number) => void;
  #ahead: Uint8Array | undefined;
  /** What the source threw. */
  failure: unknown;

  constructor(source: AsyncIterable<Uint8Array>, count: (bytes: number) => void) {
    this.#source = source[Symbol.asyncIterator]();
    this.#count = count;
  }

  /** The first bytes, without taking them. @returns fewer than `length` when there are no more */
  async peek(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let size = 0;
    while (size < length) {
      const next = await this.next();
      if (next.done === true) break;
      parts.push(next.value);
      size += next.value.byteLength;
    }
    this.#ahead = parts.length === 1 ? parts[0] : Buffer.concat(parts);
    return (this.#ahead as Uint8Array).subarray(0, length);
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const value = this.#ahead;
    if (value !== undefined) {
      this.#ahead = undefined;
      return { done: false, value };
    }
    try {
      const next = await this.#source.next();
      if (next.done === true) return { done: true, value: undefined };
      this.#count(next.value.byteLength);
      return next;
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }

  /** Reads to the end, where the source checks its digest. @throws what the source throws */
  async drain(): Promise<void> {
    for (let next = await this.next(); next.done !== true; next = await this.next());
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
