/** Words of Dockerfile instructions (Docker's Dockerfile reference: Environment replacement). */

/** Looks up a variable. */
export type Variables = (name: string) => string | undefined;

/**
 * Splits the arguments of an instruction at blanks, takes quotes and backslashes away, and puts
 * the values of variables (`$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME:+word}`) in their places.
 *
 * @throws Error without the instruction's name: a quote or a brace without its end
 */
export function splitWords(text: string, variables: Variables): string[] {
  const words: string[] = [];
  const scanner = new Scanner(text, variables);
  for (let word = scanner.word(); word !== undefined; word = scanner.word()) words.push(word);
  return words;
}

/** As `splitWords`, for arguments that are one word with its blanks. */
export function wholeWord(text: string, variables: Variables): string {
  return new Scanner(text, variables).until(() => false);
}

const BLANK = /\s/;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;

class Scanner {
  readonly #text: string;
  readonly #variables: Variables;
  #at = 0;

  constructor(text: string, variables: Variables) {
    this.#text = text.trim();
    this.#variables = variables;
  }

  word(): string | undefined {
    while (BLANK.test(this.#peek())) this.#at++;
    if (this.#at >= this.#text.length) return undefined;
    return this.until((character) => BLANK.test(character));
  }

  /** Reads on to an unquoted character that ends it, or to the end. */
  until(ends: (character: string) => boolean): string {
    let value = '';
    while (this.#at < this.#text.length && !ends(this.#peek())) {
      const character = this.#next();
      if (character === "'") value += this.#quoted();
      else if (character === '"') value += this.#doubleQuoted();
      else if (character === '\\') value += this.#next();
      else if (character === '$') value += this.#variable();
      else value += character;
    }
    return value;
  }

  #quoted(): string {
    const end = this.#text.indexOf("'", this.#at);
    if (end < 0) throw new Error("has a ' without its end");
    const value = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    return value;
  }

  #doubleQuoted(): string {
    let value = '';
    while (this.#peek() !== '"') {
      if (this.#at >= this.#text.length) throw new Error('has a " without its end');
      const character = this.#next();
      if (character === '$') value += this.#variable();
      else if (character === '\\') value += this.#escapedInQuotes();
      else value += character;
    }
    this.#at++;
    return value;
  }

  /** Between quotes a backslash counts only before what means something there. */
  #escapedInQuotes(): string {
    const escaped = this.#next();
    return ['"', '$', '\\'].includes(escaped) ? escaped : `\\${escaped}`;
  }

  #variable(): string {
    if (this.#peek() !== '{') {
      const name = this.#name();
      return name === '' ? '$' : (this.#variables(name) ?? '');
    }
    this.#at++;
    const name = this.#name();
    const value = this.#variables(name);
    const modifier = /:[-+]/y;
    modifier.lastIndex = this.#at;
    const [operator] = modifier.exec(this.#text) ?? [''];
    this.#at += operator.length;
    const word = operator === '' ? '' : this.until((character) => character === '}');
    if (name === '' || this.#next() !== '}')
      throw new Error(`has a variable that is not \${NAME}, \${NAME:-word} or \${NAME:+word}`);
    if (operator === ':-') return value || word;
    return operator === ':+' ? (value && word) || '' : (value ?? '');
  }

  #name(): string {
    NAME.lastIndex = this.#at;
    const [name] = NAME.exec(this.#text) ?? [''];
    this.#at += name.length;
    return name;
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #next(): string {
    return this.#text.charAt(this.#at++);
  }
}
