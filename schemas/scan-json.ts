/** A JSON parser (RFC 8259) that keeps long integers exact and says where text isn't JSON. */

/** The value, or what is wrong and at which index of the text. */
export type ScanResult =
  | { readonly value: unknown }
  | { readonly problem: string; readonly offset: number };

/** Deeper nesting than any real document has would exhaust the stack. */
const DEEPEST = 1000;

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
// Without control characters: they must be escaped.
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const LITERAL = /true|false|null/y;
const WORD = /[^\s,:[\]{}"]+/y;

/** Thrown within this module only, from wherever the text goes wrong. */
class Wrong extends Error {
  readonly offset: number;

  constructor(problem: string, offset: number) {
    super(problem);
    this.offset = offset;
  }
}

/**
 * Parses JSON text. Like `JSON.parse`, but integers beyond ±(2^53 - 1) become bigints.
 *
 * @param text the whole document
 */
export function scanJson(text: string): ScanResult {
  const scanner = new Scanner(text);
  try {
    return { value: scanner.document() };
  } catch (error) {
    if (error instanceof Wrong) return { problem: error.message, offset: error.offset };
    throw error;
  }
}

class Scanner {
  readonly #text: string;
  #offset = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    const value = this.#value();
    if (this.#offset < this.#text.length) throw this.#unexpected('the end of the file');
    return value;
  }

  /** A value with the space around it. */
  #value(): unknown {
    this.#take(SPACE);
    const value = this.#bareValue();
    this.#take(SPACE);
    return value;
  }

  #bareValue(): unknown {
    switch (this.#text[this.#offset]) {
      case '{':
        return this.#nested(() => this.#object());
      case '[':
        return this.#nested(() => this.#array());
      case '"':
        return this.#string();
    }
    const number = this.#take(NUMBER);
    if (number !== undefined) return this.#number(number);
    const literal = this.#take(LITERAL);
    if (literal !== undefined) return JSON.parse(literal);
    throw this.#unexpected('a value');
  }

  #nested<T>(read: () => T): T {
    if (this.#depth === DEEPEST) {
      throw new Wrong(`more than ${DEEPEST} arrays and objects within each other`, this.#offset);
    }
    this.#depth++;
    const value = read();
    this.#depth--;
    return value;
  }

  #object(): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    this.#offset++;
    this.#take(SPACE);
    if (this.#accept('}')) return {};
    do {
      this.#take(SPACE);
      if (this.#text[this.#offset] !== '"') throw this.#unexpected('a name in double quotes');
      const name = this.#string();
      this.#take(SPACE);
      if (!this.#accept(':')) throw this.#unexpected('":"');
      entries.push([name, this.#value()]);
    } while (this.#accept(','));
    if (!this.#accept('}')) throw this.#unexpected('"," or "}"');
    // Unlike assignment this makes a plain property of «__proto__» too.
    return Object.fromEntries(entries);
  }

  #array(): unknown[] {
    const values: unknown[] = [];
    this.#offset++;
    this.#take(SPACE);
    if (this.#accept(']')) return values;
    do {
      values.push(this.#value());
    } while (this.#accept(','));
    if (!this.#accept(']')) throw this.#unexpected('"," or "]"');
    return values;
  }

  #string(): string {
    const quoted = this.#take(STRING);
    if (quoted !== undefined) return JSON.parse(quoted);
    const problem =
      'a string that does not end on its line, or has a "\\" or a control character that JSON does not allow';
    throw new Wrong(problem, this.#offset);
  }

  #number(text: string): number | bigint {
    const value = Number(text);
    const isExact = Number.isSafeInteger(value) || !/^-?[0-9]+$/.test(text);
    return isExact ? value : BigInt(text);
  }

  #accept(character: string): boolean {
    if (this.#text[this.#offset] !== character) return false;
    this.#offset++;
    return true;
  }

  /** What the sticky pattern matches here, if it does; moves behind it. */
  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset;
    const found = pattern.exec(this.#text)?.[0];
    this.#offset += found?.length ?? 0;
    return found;
  }

  #unexpected(wanted: string): Wrong {
    const offset = this.#offset;
    const rest = this.#text.slice(offset, offset + 20);
    if (rest === '') return new Wrong(`the file ends where ${wanted} must follow`, offset);
    if (/^[,}\]]/.test(rest) && this.#isAfterComma()) {
      return new Wrong(`a "," with nothing after it`, offset);
    }
    WORD.lastIndex = 0;
    const found = WORD.exec(rest)?.[0] ?? [...rest][0];
    return new Wrong(`${JSON.stringify(found)} where ${wanted} must be`, offset);
  }

  #isAfterComma(): boolean {
    return this.#text.slice(0, this.#offset).trimEnd().endsWith(',');
  }
}
