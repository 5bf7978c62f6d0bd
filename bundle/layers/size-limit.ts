import type { TarVisitor } from './tar/reader.ts';

const UNITS = ['', 'K', 'M', 'G', 'T'];

/**
 * How much an image, or an archive, may come to when it is unpacked. Two sums are limited, for either
 * can be huge where the other is small: the bytes of tar archives without their compression, and
 * the sizes of the files in them, with their holes.
 */
export class SizeLimit {
  readonly #text: string;
  readonly #most: number;
  #archives = 0;
  #files = 0;

  /**
   * @param text a number of bytes, or of KiB, MiB, GiB, TiB: `512M`, `2G`
   * @throws Error in one line when it is none
   */
  constructor(text: string) {
    const [, digits, unit] = /^(\d{1,15})([KMGT]?)(?:i?B)?$/i.exec(text) ?? [];
    if (digits === undefined || Number(digits) === 0)
      throw new Error(
        `--max-size ${JSON.stringify(text)} is no size: want a number of bytes above 0, or of KiB, MiB, GiB, TiB, such as 512M or 2G`,
      );
    this.#text = text;
    this.#most = Number(digits) * 1024 ** UNITS.indexOf((unit as string).toUpperCase());
  }

  /** The same for another image. */
  afresh(): SizeLimit {
    return new SizeLimit(this.#text);
  }

  /** Looks at what is about to be read. @param bytes of blobs, as they are. @throws Error when there are too many */
  announced(bytes: number): void {
    if (bytes > this.#most)
      throw new Error(
        `its blobs come to ${bytes} bytes, which is more than --max-size ${this.#text} allows`,
      );
  }

  /** Counts bytes that an archive inflates to. @throws Error when there are too many */
  inflated(bytes: number): void {
    this.#archives += bytes;
    this.#check(this.#archives);
  }

  /** Hands on what is in an archive. Its `entry` throws an Error when files come to too much. */
  watch(visitor: TarVisitor): TarVisitor {
    return {
      entry: (entry) => {
        if (entry.type === 'file') this.#files += entry.size;
        this.#check(this.#files);
        visitor.entry(entry);
      },
      content: (bytes, offset) => visitor.content(bytes, offset),
      end: () => visitor.end(),
      holds: (memory) => visitor.holds?.(memory) ?? true,
    };
  }

  #check(sum: number): void {
    if (sum > this.#most)
      throw new Error(`up to here it comes to more than --max-size ${this.#text} allows`);
  }
}
