/** Values as GLib writes them: GVariant Text Format, as far as D-Bus has their types. */

import { typesOf, type Value, type Variant } from '../../linux/dbus/marshal.ts';

/** Words that stand before a value and give its type. */
const KEYWORDS: Readonly<Record<string, string>> = {
  boolean: 'b',
  byte: 'y',
  int16: 'n',
  uint16: 'q',
  int32: 'i',
  uint32: 'u',
  int64: 'x',
  uint64: 't',
  double: 'd',
  string: 's',
  objectpath: 'o',
  signature: 'g',
};

const RANGES: Readonly<Record<string, readonly [least: bigint, most: bigint]>> = {
  y: [0n, 2n ** 8n - 1n],
  n: [-(2n ** 15n), 2n ** 15n - 1n],
  q: [0n, 2n ** 16n - 1n],
  i: [-(2n ** 31n), 2n ** 31n - 1n],
  u: [0n, 2n ** 32n - 1n],
  x: [-(2n ** 63n), 2n ** 63n - 1n],
  t: [0n, 2n ** 64n - 1n],
};

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/**
 * Parses a value: `true`, `-5`, `uint64 7`, `2.5`, `'text'`, `['a', 'b']`, `@as []`, `b'bytes'`,
 * `('a', 1)`, `<variant>`. A number without a type is of 32 bits with a sign, or a double.
 *
 * @throws Error that says what is wrong
 */
export function parseGVariant(text: string): Variant {
  const parser = new Parser(text);
  const variant = parser.value();
  parser.end();
  return variant;
}

class Parser {
  #rest: string;

  constructor(text: string) {
    this.#rest = text.trimStart();
  }

  end(): void {
    if (this.#rest !== '') throw this.#unexpected('the end');
  }

  /** @param type what it has to be; any when not given */
  value(type?: string): Variant {
    const given = this.#type();
    if (given !== undefined && type !== undefined && given !== type) throw mismatch(given, type);
    const wanted = given ?? type;
    const [first = ''] = this.#rest;
    if (first === '[') return this.#array(wanted);
    if (first === '(') return this.#tuple(wanted);
    if (first === '<') return this.#variant(wanted);
    if (/^b['"]/.test(this.#rest)) return this.#bytes(wanted);
    if (first === "'" || first === '"') return this.#string(wanted);
    if (/^[-+\d.]/.test(first)) return this.#number(wanted);
    const word = this.#take(/^(true|false)\b/);
    if (word === undefined) throw this.#unexpected('a value');
    return typed('b', word === 'true', wanted);
  }

  #type(): string | undefined {
    const signature = this.#take(/^@\S+/)?.slice(1);
    if (signature !== undefined) {
      if (typesOf(signature).length !== 1) throw new Error(`@${signature} is not one type`);
      return signature;
    }
    const word = this.#take(/^[a-z]+\d*(?=\s)/, (text) => text in KEYWORDS);
    return word === undefined ? undefined : KEYWORDS[word];
  }

  #array(type: string | undefined): Variant {
    let element = type?.startsWith('a') ? type.slice(1) : undefined;
    const values: Value[] = [];
    this.#list('[', ']', () => {
      const { signature, value } = this.value(element);
      element = signature;
      values.push(value);
    });
    if (element === undefined) throw new Error('an empty list needs its type, as in @as []');
    return typed(`a${element}`, values, type);
  }

  #tuple(type: string | undefined): Variant {
    const wanted = type?.startsWith('(') ? typesOf(type.slice(1, -1)) : [];
    const fields: Variant[] = [];
    this.#list('(', ')', () => fields.push(this.value(wanted[fields.length])));
    const signature = `(${fields.map((field) => field.signature).join('')})`;
    const values = fields.map(({ value }) => value);
    return typed(signature, values, type);
  }

  #list(open: string, close: string, element: () => void): void {
    this.#expect(open);
    while (!this.#rest.startsWith(close)) {
      element();
      if (!this.#rest.startsWith(close)) this.#expect(',');
    }
    this.#expect(close);
  }

  #variant(type: string | undefined): Variant {
    this.#expect('<');
    const value = this.value();
    this.#expect('>');
    return typed('v', value, type);
  }

  /** Bytes end with a NUL that is not written. */
  #bytes(type: string | undefined): Variant {
    this.#expect('b');
    return typed('ay', Buffer.from(`${this.#quoted()}\0`, 'latin1'), type);
  }

  #string(type = 's'): Variant {
    return typed(['o', 'g'].includes(type) ? type : 's', this.#quoted(), type);
  }

  #quoted(): string {
    const quoted = this.#take(/^(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/s);
    if (quoted === undefined) throw new Error('a quotation mark is missing');
    return quoted
      .slice(1, -1)
      .replace(/\\(?:u([\da-fA-F]{4})|U([\da-fA-F]{8})|(.))/gs, (_, four, eight, one) =>
        one === undefined
          ? String.fromCodePoint(Number.parseInt(four ?? eight, 16))
          : (ESCAPES[one] ?? one),
      );
  }

  #number(type: string | undefined): Variant {
    const text = this.#take(/^[-+]?(?:0x[0-9a-f]+|[\d.]+(?:e[-+]?\d+)?)/i) ?? '';
    if (/^\w/.test(this.#rest)) throw this.#unexpected('the end of a number');
    const isDouble = /[.e]/i.test(text) && !/0x/i.test(text);
    const signature = type ?? (isDouble ? 'd' : 'i');
    if (signature === 'd') return { signature, value: Number(text) };
    const [least, most] = RANGES[signature] ?? [1n, 0n];
    const value = isDouble ? undefined : integer(text);
    if (value === undefined || value < least || value > most)
      throw new Error(`${text} is no ${nameOf(signature)}`);
    return { signature, value };
  }

  #expect(text: string): void {
    if (!this.#rest.startsWith(text)) throw this.#unexpected(JSON.stringify(text));
    this.#advance(text.length);
  }

  #take(pattern: RegExp, accept: (text: string) => boolean = () => true): string | undefined {
    const [found] = pattern.exec(this.#rest) ?? [];
    if (found === undefined || !accept(found)) return undefined;
    this.#advance(found.length);
    return found;
  }

  #advance(length: number): void {
    this.#rest = this.#rest.slice(length).trimStart();
  }

  #unexpected(wanted: string): Error {
    const found = this.#rest === '' ? 'the text ends' : `there is ${JSON.stringify(this.#rest)}`;
    return new Error(`${found} where ${wanted} should be`);
  }
}

function typed(signature: string, value: Value, wanted: string | undefined): Variant {
  if (wanted !== undefined && wanted !== signature) throw mismatch(signature, wanted);
  return { signature, value };
}

function mismatch(found: string, wanted: string): Error {
  return new Error(`there is a value of type ${nameOf(found)} where ${nameOf(wanted)} should be`);
}

function nameOf(signature: string): string {
  const [name] = Object.entries(KEYWORDS).find(([, code]) => code === signature) ?? [];
  return name ?? `@${signature}`;
}

/** A leading zero makes a number octal, as in C. */
function integer(text: string): bigint | undefined {
  const [, sign = '', digits = ''] = /^([-+]?)(.*)$/.exec(text) ?? [];
  const octal = /^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits;
  try {
    const value = BigInt(octal);
    return sign === '-' ? -value : value;
  } catch {
    return undefined;
  }
}
