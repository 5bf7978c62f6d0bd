/**
 * Compiles a JSON schema to a function that only decides: true or false, and no word of why. What
 * ajv compiles can explain every violation, and its code is ten times as large, which every start
 * of a container would have to load. Each schema that others refer to becomes one function, each
 * array and each object with any names another, which has a loop, and all else one expression.
 */

/** Helpers that the expressions call: an object, an integer, an integer of 64 bits. */
const HELPERS = `const O = (v) => typeof v === 'object' && v !== null && !Array.isArray(v);
const I = (v, least, most) => Number.isInteger(v) && v >= least && v <= most;
const L = (v, low, high) =>
  typeof v === 'bigint' ? v >= low && v < high : Number.isInteger(v) && v >= low && v <= high;
`;

/** What does not decide anything. */
const NOTES = new Set(['$schema', '$id', '$comment', 'title', 'description', 'definitions']);
/** Keywords that mean something for values of one type only, and that type. */
const TYPE_OF = {
  pattern: 'string',
  minimum: 'integer',
  maximum: 'integer',
  items: 'array',
  minItems: 'array',
  maxItems: 'array',
  required: 'object',
  properties: 'object',
  propertyNames: 'object',
  additionalProperties: 'object',
  dependencies: 'object',
};

/**
 * @param {string} name of the function that the module exports
 * @param {string} path of the schema
 * @param {(reference: string, path: string) => [object, string]} resolve what a reference means in
 *   the schema at a path
 * @returns {string} the source of a module
 */
export function compileDecision(name, path, resolve) {
  const compiler = new Compiler(resolve);
  const decide = compiler.reference('#', path);
  return `${HELPERS}${compiler.functions.join('\n')}\nexport const ${name} = ${decide};\n`;
}

class Compiler {
  functions = [];
  #names = new Map();
  #resolve;

  constructor(resolve) {
    this.#resolve = resolve;
  }

  /** The name of the function for what a reference means. */
  reference(reference, from) {
    const [schema, path] = this.#resolve(reference, from);
    let name = this.#names.get(schema);
    if (name === undefined) {
      name = `is${this.#names.size}`;
      this.#names.set(schema, name);
      this.functions.push(`function ${name}(v) { return ${this.#expression(schema, path, 'v')}; }`);
    }
    return name;
  }

  /** The name of a function that a loop makes of `v`. */
  #loop(loop, test) {
    const name = `all${this.functions.length}`;
    this.functions.push(
      `function ${name}(v) { ${loop} if (!(${test})) return false; return true; }`,
    );
    return name;
  }

  /** An expression that is true when `v` is what the schema allows. */
  #expression(schema, path, v) {
    const known = new Set(['$ref', 'type', 'enum', 'integer64', 'if', 'then', ...NOTES]);
    const strange = Object.keys(schema).find((key) => !known.has(key) && !(key in TYPE_OF));
    if (strange !== undefined) throw new Error(`${path}: the keyword ${strange} can't be compiled`);
    const tests = [];
    if (schema.$ref !== undefined) tests.push(`${this.reference(schema.$ref, path)}(${v})`);
    if (schema.enum !== undefined)
      tests.push(`(${schema.enum.map((one) => `${v} === ${JSON.stringify(one)}`).join(' || ')})`);
    if (schema.integer64 === 'signed') tests.push(`L(${v}, -(2n ** 63n), 2n ** 63n)`);
    if (schema.integer64 === 'unsigned') tests.push(`L(${v}, 0n, 2n ** 64n)`);
    if (schema.type !== undefined) tests.push(this.#ofType(schema.type, schema, path, v));
    for (const type of new Set(Object.keys(schema).map((key) => TYPE_OF[key])))
      if (type !== undefined && type !== schema.type)
        tests.push(`(!${isOf(type, v)} || ${this.#ofType(type, schema, path, v)})`);
    if (schema.if !== undefined)
      tests.push(
        `(!(${this.#expression(schema.if, path, v)}) || ${this.#expression(schema.then, path, v)})`,
      );
    return tests.length === 0 ? 'true' : tests.join(' && ');
  }

  /** That `v` is of a type, and what the schema wants of values of that type. */
  #ofType(type, schema, path, v) {
    if (type === 'object') return this.#object(schema, path, v);
    if (type === 'array') {
      const { minItems, maxItems, items = {} } = schema;
      const tests = [`Array.isArray(${v})`];
      if (minItems !== undefined) tests.push(`${v}.length >= ${minItems}`);
      if (maxItems !== undefined) tests.push(`${v}.length <= ${maxItems}`);
      const test = this.#expression(items, path, 'one');
      if (test !== 'true') tests.push(`${this.#loop('for (const one of v)', test)}(${v})`);
      return tests.join(' && ');
    }
    if (type === 'integer') {
      const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = schema;
      return `I(${v}, ${minimum}, ${maximum})`;
    }
    if (type === 'string' && schema.pattern !== undefined)
      return `typeof ${v} === 'string' && ${new RegExp(schema.pattern, 'u')}.test(${v})`;
    return isOf(type, v);
  }

  #object({ required = [], dependencies = {}, ...schema }, path, v) {
    const { properties = {}, propertyNames = {}, additionalProperties } = schema;
    if (additionalProperties !== undefined && schema.properties !== undefined)
      throw new Error(`${path}: properties and additionalProperties can't be compiled together`);
    const tests = [`O(${v})`];
    for (const name of required) tests.push(`${property(v, name)} !== undefined`);
    for (const [name, others] of Object.entries(dependencies))
      for (const other of others)
        tests.push(`(${property(v, name)} === undefined || ${property(v, other)} !== undefined)`);
    for (const [name, schema] of Object.entries(properties)) {
      const at = property(v, name);
      const test = this.#expression(schema, path, at);
      if (test !== 'true') tests.push(`(${at} === undefined || (${test}))`);
    }
    if (additionalProperties !== undefined || schema.propertyNames !== undefined) {
      const name = this.#expression(propertyNames, path, 'name');
      const value = this.#expression(additionalProperties ?? {}, path, 'v[name]');
      tests.push(`${this.#loop('for (const name in v)', `(${name}) && (${value})`)}(${v})`);
    }
    return tests.join(' && ');
  }
}

function isOf(type, v) {
  if (type === 'object') return `O(${v})`;
  if (type === 'array') return `Array.isArray(${v})`;
  if (type === 'integer') return `Number.isInteger(${v})`;
  return `typeof ${v} === '${type}'`;
}

function property(v, name) {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `${v}.${name}` : `${v}[${JSON.stringify(name)}]`;
}
