import { writeText } from '../linux/call-table.ts';
import { writeWord } from '../linux/syscall.ts';
import type { Place, Struct, Value } from '../plan/step.ts';
import { DATA_BASE } from './elf.ts';

/** Where zeroed memory begins: results and places. It takes no room in the file. */
const ZERO_BASE = DATA_BASE + 0x400000;
/** Bytes of data that there is room for at first: a usual container has 6 to 8 KiB. */
const ROOM = 1 << 14;

/** A field of a structure whose value is known only when init runs. */
export interface Fixup {
  readonly address: number;
  readonly width: 2 | 4 | 8;
  readonly result: string;
}

/** Init's memory: data that the file carries, and zeroed memory behind it. */
export class Layout {
  private bytes = Buffer.alloc(ROOM);
  private view = new DataView(this.bytes.buffer, this.bytes.byteOffset);
  private size = 0;
  private zeroed = 0;
  private readonly strings = new Map<string, number>();
  private readonly structures = new Map<Struct, number>();
  private readonly results = new Map<string, number>();
  private readonly places = new Map<string, { address: number; size: number }>();
  private readonly descriptors: ReadonlyMap<string, number>;

  /** @param descriptors the number of each descriptor that init is born with */
  constructor(descriptors: ReadonlyMap<string, number>) {
    this.descriptors = descriptors;
  }

  /** The data for the file. @throws Error when it is larger than its room (4 MiB) */
  finish(): { data: Uint8Array; bssSize: number } {
    if (DATA_BASE + this.size > ZERO_BASE)
      throw new Error(`arguments, environment and paths take ${this.size} bytes: more than 4 MiB`);
    const data = this.bytes.subarray(0, this.size);
    // 4 bytes are loaded even where one is looked at: the last place needs some room behind it.
    return { data, bssSize: ZERO_BASE + this.zeroed + 4 - DATA_BASE - this.size };
  }

  /** The address of a result's 8 bytes. */
  resultAddress(name: string): number {
    let address = this.results.get(name);
    if (address === undefined) {
      address = this.zero(8);
      this.results.set(name, address);
    }
    return address;
  }

  /** The address of a place. */
  placeAddress(place: Place): number {
    let found = this.places.get(place.place);
    if (found === undefined) {
      found = { address: this.zero(place.size), size: place.size };
      this.places.set(place.place, found);
    }
    if (found.size !== place.size)
      throw new Error(`place ${place.place} has ${found.size} bytes, not ${place.size}`);
    return found.address;
  }

  /** The number of a descriptor that init is born with. */
  descriptor(name: string): number {
    const number = this.descriptors.get(name);
    if (number === undefined) throw new Error(`the plan has no descriptor ${name}`);
    return number;
  }

  /**
   * The constant that a value stands for: its own, or the address of what it describes.
   * Structures add the fields to be filled in at run time to `fixups`.
   *
   * @throws Error for a result, which has no value before init runs
   */
  constant(value: Value, fixups: Fixup[]): number | bigint {
    if (typeof value === 'number' || typeof value === 'bigint') return value;
    if (typeof value === 'string') return this.text(value);
    if ('flags' in value) return value.flags;
    if ('inherited' in value) return this.descriptor(value.inherited);
    if ('place' in value) return this.placeAddress(value);
    if ('struct' in value) return this.structure(value, fixups);
    if ('bytes' in value) return this.data(value.bytes);
    throw new Error(`${value.result} is known only at run time`);
  }

  /** The address of constants of 8 bytes, one after another. */
  table(values: readonly (number | string)[]): number {
    const start = this.reserve(8 * values.length, 8);
    for (let i = 0; i < values.length; i++) {
      const constant = this.constant(values[i] as number | string, []);
      write(this.view, start + 8 * i, 8, constant);
    }
    return DATA_BASE + start;
  }

  private text(value: string): number {
    let address = this.strings.get(value);
    if (address === undefined) {
      const at = this.reserve(3 * value.length + 1, 1);
      this.size = writeText(this.bytes, at, value);
      address = DATA_BASE + at;
      this.strings.set(value, address);
    }
    return address;
  }

  private structure(value: Struct, fixups: Fixup[]): number {
    const known = this.structures.get(value);
    if (known !== undefined) return known;
    let size = 0;
    for (const field of value.fields) size += field.width;
    const start = this.reserve(size, 8);
    let at = start;
    let isConstant = true;
    for (const { value: content, width } of value.fields) {
      if (typeof content === 'object' && 'result' in content) {
        fixups.push({ address: DATA_BASE + at, width, result: content.result });
        isConstant = false;
      } else {
        const constant = this.constant(content, fixups);
        write(this.view, at, width, constant);
      }
      at += width;
    }
    // One whose fields are filled in at run time is filled in for each call anew.
    if (isConstant) this.structures.set(value, DATA_BASE + start);
    return DATA_BASE + start;
  }

  private data(bytes: Uint8Array): number {
    const at = this.reserve(bytes.length, 8);
    this.bytes.set(bytes, at);
    return DATA_BASE + at;
  }

  /** Makes room for more data. @returns where in it, from its beginning */
  private reserve(size: number, alignment: number): number {
    const at = Math.ceil(this.size / alignment) * alignment;
    this.size = at + size;
    if (this.size > this.bytes.length) {
      const larger = Buffer.alloc(2 * this.size);
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer, larger.byteOffset);
    }
    return at;
  }

  private zero(size: number): number {
    const address = ZERO_BASE + this.zeroed;
    this.zeroed += Math.ceil(size / 8) * 8;
    return address;
  }
}

function write(view: DataView, offset: number, width: 2 | 4 | 8, value: number | bigint): void {
  if (width === 8) writeWord(view, offset, value);
  else if (width === 4) view.setUint32(offset, Number(value), true);
  else view.setUint16(offset, Number(value), true);
}
