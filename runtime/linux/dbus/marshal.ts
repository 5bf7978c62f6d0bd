/** The wire format of D-Bus (D-Bus specification, Marshaling), little-endian. */

/** What a type code of D-Bus stands for: `t` and `x` are bigint when read. */
export type Value = string | number | bigint | boolean | Variant | Uint8Array | readonly Value[];

/** A value with its type: the `v` of D-Bus. */
export interface Variant {
  /** One complete type (D-Bus specification, Type System). */
  readonly signature: string;
  readonly value: Value;
}

/** Codes of types by the bytes that their values are aligned to. */
const ALIGNMENTS: readonly (readonly [bytes: number, codes: string])[] = [
  [1, 'ygv'],
  [2, 'nq'],
  [4, 'biusoa'],
  [8, 'xtd({'],
];

function alignmentOf(type: string): number {
  const code = type[0] ?? ' ';
  const [bytes] = ALIGNMENTS.find(([, codes]) => codes.includes(code)) ?? [];
  if (bytes === undefined) throw new Error(`D-Bus has no type ${JSON.stringify(type)}`);
  return bytes;
}

/**
 * Splits a signature into its complete types: `sa(sv)` into `s` and `a(sv)`.
 *
 * @throws Error for what is no signature
 */
export function typesOf(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length; ) {
    const end = endOfType(signature, at);
    types.push(signature.slice(at, end));
    at = end;
  }
  return types;
}

function endOfType(signature: string, at: number): number {
  alignmentOf(signature.slice(at));
  if (signature[at] === 'a') return endOfType(signature, at + 1);
  const close = signature[at] === '(' ? ')' : signature[at] === '{' ? '}' : undefined;
  if (close === undefined) return at + 1;
  let end = at + 1;
  while (end < signature.length && signature[end] !== close) end = endOfType(signature, end);
  if (end >= signature.length) throw new Error(`${signature} is no signature of D-Bus`);
  return end + 1;
}

/** The types between the brackets of a structure. */
function fieldsOf(type: string): string[] {
  return typesOf(type.slice(1, -1));
}

/** Lays values out one after the other. */
export class Writer {
  #view = new DataView(new ArrayBuffer(1024));
  #length = 0;

  /** What was written so far. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.#view.buffer, 0, this.#length);
  }

  /** Fills up with zeros to a multiple of `size` bytes. */
  align(size: number): void {
    this.#take(-this.#length & (size - 1));
  }

  /**
   * Writes a value of one complete type.
   *
   * @throws Error for a type that there is not, and for a value of another
   */
  write(type: string, value: Value): void {
    this.align(alignmentOf(type));
    const code = type[0] as string;
    if (code === 'a') this.#array(type.slice(1), value as readonly Value[]);
    else if (code === '(' || code === '{') this.#structure(fieldsOf(type), value as Value[]);
    else if (code === 'v') this.#variant(value as Variant);
    else if (code === 's' || code === 'o') this.#text(value as string, 4);
    else if (code === 'g') this.#text(value as string, 1);
    else this.#number(code, value as number | bigint | boolean);
  }

  #structure(types: readonly string[], values: readonly Value[]): void {
    for (const [i, type] of types.entries()) this.write(type, values[i] as Value);
  }

  /** The length does not count the padding before the first element. */
  #array(type: string, values: Iterable<Value>): void {
    const length = this.#take(4);
    this.align(alignmentOf(type));
    const start = this.#length;
    for (const value of values) this.write(type, value);
    this.#view.setUint32(length, this.#length - start, true);
  }

  #variant({ signature, value }: Variant): void {
    this.#text(signature, 1);
    this.write(signature, value);
  }

  #text(text: string, lengthBytes: 1 | 4): void {
    const bytes = Buffer.from(text);
    const at = this.#take(lengthBytes);
    if (lengthBytes === 4) this.#view.setUint32(at, bytes.length, true);
    else this.#view.setUint8(at, bytes.length);
    const start = this.#take(bytes.length + 1);
    new Uint8Array(this.#view.buffer).set(bytes, start);
  }

  #number(code: string, value: number | bigint | boolean): void {
    const at = this.#take(alignmentOf(code));
    if (code === 'y') this.#view.setUint8(at, Number(value));
    else if (code === 'n' || code === 'q') this.#view.setUint16(at, Number(value), true);
    else if (code === 'd') this.#view.setFloat64(at, Number(value), true);
    else if (code === 'x' || code === 't')
      this.#view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    else this.#view.setUint32(at, Number(value), true);
  }

  /** Makes room for some bytes, which are zero. @returns where they begin */
  #take(bytes: number): number {
    const start = this.#length;
    this.#length += bytes;
    if (this.#length > this.#view.byteLength) {
      const grown = new Uint8Array(2 * this.#length);
      grown.set(new Uint8Array(this.#view.buffer));
      this.#view = new DataView(grown.buffer);
    }
    return start;
  }
}

/** Takes values off one after the other. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  /** @param start where the first value begins; alignment counts from the first byte */
  constructor(bytes: Uint8Array, start = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
  }

  /** Reads values of all types of a signature. @throws RangeError when they end too early */
  readAll(signature: string): Value[] {
    return typesOf(signature).map((type) => this.read(type));
  }

  /** Reads a value of one complete type. @throws RangeError when it ends too early */
  read(type: string): Value {
    this.#align(alignmentOf(type));
    const code = type[0] as string;
    if (code === 'a') return this.#array(type.slice(1));
    if (code === '(' || code === '{') return fieldsOf(type).map((field) => this.read(field));
    if (code === 'v') return this.#variant();
    if (code === 's' || code === 'o') return this.#text(this.#view.getUint32(this.#skip(4), true));
    if (code === 'g') return this.#text(this.#view.getUint8(this.#skip(1)));
    return this.#number(code);
  }

  #array(type: string): Value[] {
    const length = this.#view.getUint32(this.#skip(4), true);
    this.#align(alignmentOf(type));
    const end = this.#at + length;
    const values: Value[] = [];
    while (this.#at < end) values.push(this.read(type));
    return values;
  }

  #variant(): Variant {
    const signature = this.#text(this.#view.getUint8(this.#skip(1)));
    return { signature, value: this.read(signature) };
  }

  #text(length: number): string {
    const start = this.#skip(length + 1);
    return Buffer.from(this.#bytes.subarray(start, start + length)).toString();
  }

  #number(code: string): number | bigint | boolean {
    const at = this.#skip(alignmentOf(code));
    if (code === 'y') return this.#view.getUint8(at);
    if (code === 'n') return this.#view.getInt16(at, true);
    if (code === 'q') return this.#view.getUint16(at, true);
    if (code === 'i') return this.#view.getInt32(at, true);
    if (code === 'd') return this.#view.getFloat64(at, true);
    if (code === 'x') return this.#view.getBigInt64(at, true);
    if (code === 't') return this.#view.getBigUint64(at, true);
    const value = this.#view.getUint32(at, true);
    return code === 'b' ? value !== 0 : value;
  }

  #align(size: number): void {
    this.#at += -this.#at & (size - 1);
  }

  #skip(bytes: number): number {
    const start = this.#at;
    this.#at += bytes;
    return start;
  }
}
