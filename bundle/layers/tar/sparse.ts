import { decimal, number } from './fields.ts';

/** A stretch of a file that the archive stores; what lies between stretches is a hole. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** Where GNU's old format keeps entries of the map: in the header, and in blocks after it. */
const IN_HEADER = { offset: 386, count: 4, more: 482 };
const IN_EXTENSION = { offset: 0, count: 21, more: 504 };
const REAL_SIZE = 483;

/** Maps are read into memory: no honest one has more parts. */
const MOST_EXTENTS = 1_000_000;

/** The size of a file in GNU's old sparse format, holes included. */
export function oldRealSize(header: Buffer): number {
  return number(header, REAL_SIZE, 12, 'size with holes');
}

/**
 * Reads the entries of a map in GNU's old format from a block.
 *
 * @param extents where they are added
 * @returns whether a further block with entries follows
 */
export function readOldExtents(block: Buffer, isHeader: boolean, extents: Extent[]): boolean {
  const layout = isHeader ? IN_HEADER : IN_EXTENSION;
  for (let i = 0; i < layout.count; i++) {
    const at = layout.offset + 24 * i;
    if (block[at] === 0) break;
    extents.push({
      offset: number(block, at, 12, 'sparse map'),
      length: number(block, at + 12, 12, 'sparse map'),
    });
  }
  checkCount(extents.length);
  return block[layout.more] !== 0;
}

/** Reads the map of the formats 0.0 and 0.1: `offset,length,offset,length,…`. */
export function parseSparseMap(list: string): Extent[] {
  return list === '' ? [] : pairs(list.split(','));
}

/**
 * The map of format 1.0, which stands before the content: the number of entries, then offsets
 * and lengths, each on a line, filled up to whole blocks.
 */
export class SparseMapReader {
  readonly #lines: string[] = [];
  #rest = '';

  /**
   * @param block the next block of the content
   * @returns the map when this was its last block
   * @throws Error when it is damaged
   */
  push(block: Buffer): Extent[] | undefined {
    const lines = (this.#rest + block.toString('latin1')).split('\n');
    this.#rest = lines.pop() as string;
    for (const line of lines) this.#lines.push(line);
    if (this.#rest.length > 20 && this.#needed() > 0) decimal(this.#rest, 'sparse map');
    return this.#needed() > 0 ? undefined : pairs(this.#lines.slice(1, 1 + 2 * this.#count()));
  }

  #count(): number {
    const count = decimal(this.#lines[0] as string, 'sparse map');
    checkCount(count);
    return count;
  }

  #needed(): number {
    return this.#lines.length === 0 ? 1 : 1 + 2 * this.#count() - this.#lines.length;
  }
}

function checkCount(count: number): void {
  if (count < 0 || count > MOST_EXTENTS)
    throw new Error(`its sparse map has ${count} entries (at most ${MOST_EXTENTS})`);
}

function pairs(numbers: readonly string[]): Extent[] {
  if (numbers.length % 2 !== 0) throw new Error('its sparse map has an offset without a length');
  return Array.from({ length: numbers.length / 2 }, (_, i) => ({
    offset: decimal(numbers[2 * i] as string, 'sparse map'),
    length: decimal(numbers[2 * i + 1] as string, 'sparse map'),
  }));
}

/**
 * Checks that a map's stretches follow one another inside the file, and are as long together as
 * what the archive stores.
 *
 * @param size of the file with its holes, bytes
 * @param stored bytes that the archive has of it
 * @throws Error when it is not so
 */
export function checkExtents(extents: readonly Extent[], size: number, stored: number): void {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of extents) {
    if (length < 0 || offset < end || offset + length > size)
      throw new Error('its sparse map has parts that overlap or lie beyond its end');
    end = offset + length;
    sum += length;
  }
  if (sum !== stored)
    throw new Error(`its sparse map tells of ${sum} bytes, but the archive has ${stored}`);
}
