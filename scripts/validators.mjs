/**
 * Compiles the JSON schemas of schemas/ ahead of time, for ajv compiling at run time would cost
 * more than a second at every start. Writes one self-contained module for the runtime and one for
 * the bundler, so that each loads only its own. They are TypeScript without types: tsc, jest and
 * Bun then take them like any other source.
 */

import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _, Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import { compileDecision } from './decide.mjs';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), '..', 'schemas');
const SUFFIX = '.schema.json';

/** Keywords whose value is a schema, or an object of schemas; and those that aren't compiled. */
const SUBSCHEMA = new Set(['items', 'additionalProperties', 'if', 'then', 'not']);
const MAP_OF_SUBSCHEMAS = new Set(['properties', 'definitions']);
const NOTES = new Set(['$comment', '$schema', 'title']);

/** The modules: their name, and the validators that each exports. */
const MODULES = {
  runtime: { runtimeConfig: 'runtime/config' },
  image: {
    descriptor: 'image/descriptor',
    manifest: 'image/manifest',
    index: 'image/index',
    imageConfig: 'image/config',
    layout: 'image/layout',
  },
};

const schemas = readSchemas();
mkdirSync(join(FOLDER, 'validators'), { recursive: true });
for (const [name, exported] of Object.entries(MODULES)) {
  write(name, compile(exported));
}
write('is-runtime-config', compileDecision('isRuntimeConfig', 'runtime/config', resolve));

function write(name, code) {
  const file = join(FOLDER, 'validators', `${name}.ts`);
  // Renamed into place: tests may be reading the old one.
  writeFileSync(
    `${file}.${process.pid}`,
    `// Made by scripts/validators.mjs. Do not edit.\n// @ts-nocheck\n${code}\n`,
  );
  renameSync(`${file}.${process.pid}`, file);
}

/** All schema files, by their path below schemas/ without the suffix. */
function readSchemas() {
  const paths = readdirSync(FOLDER, { recursive: true }).filter((path) => path.endsWith(SUFFIX));
  return new Map(
    paths.map((path) => [
      path.slice(0, -SUFFIX.length),
      JSON.parse(readFileSync(join(FOLDER, path), 'utf8')),
    ]),
  );
}

/** The source of a module that exports a validator for each of the named schemas. */
function compile(exported) {
  const ajv = new Ajv({
    allErrors: true,
    // Errors carry the schema that they broke: its words tell what is allowed.
    verbose: true,
    messages: false,
    // What several places refer to is compiled once.
    inlineRefs: false,
    strict: true,
    strictRequired: false,
    allowUnionTypes: true,
    code: { source: true, esm: true },
  });
  ajv.addKeyword(integer64());
  for (const [path, schema] of schemas) {
    ajv.addSchema({ ...prepare(schema, path), $id: identifier(path) });
  }
  const names = Object.entries(exported).map(([name, path]) => [name, identifier(path)]);
  const code = standalone.default(ajv, Object.fromEntries(names));
  if (/\brequire\(|\bimport\b/.test(code)) {
    throw new Error('the compiled validators need helpers of ajv at run time; avoid the keyword');
  }
  return code;
}

/** The identifier by which schemas refer to each other once they're loaded. */
function identifier(path) {
  return `scow:///${path}${SUFFIX}`;
}

/**
 * The schema as it's compiled: without comments, and with words in every place (`description`)
 * that tell what is allowed there, for the messages about what isn't.
 */
function prepare(schema, path) {
  const prepared = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'propertyNames') prepared[key] = prepare(...dereference(value, path));
    else if (SUBSCHEMA.has(key)) prepared[key] = prepare(value, path);
    else if (MAP_OF_SUBSCHEMAS.has(key)) {
      prepared[key] = Object.fromEntries(
        Object.entries(value).map(([name, subschema]) => [name, prepare(subschema, path)]),
      );
    } else if (!NOTES.has(key)) prepared[key] = value;
  }
  return { ...prepared, description: words(schema, path) };
}

/**
 * The schema itself, or what it refers to. Names of properties are checked in place: from within
 * another function an error couldn't tell which name it's about.
 */
function dereference(schema, path) {
  return schema.$ref === undefined ? [schema, path] : resolve(schema.$ref, path);
}

/** What the schema allows, in words. */
function words(schema, path) {
  if (schema.description !== undefined) return schema.description;
  if (schema.$ref !== undefined) return words(...resolve(schema.$ref, path));
  if (schema.enum !== undefined) return wordsOfList(schema.enum);
  if (schema.integer64 === 'signed') return `an integer from -${2n ** 63n} to ${2n ** 63n - 1n}`;
  if (schema.integer64 === 'unsigned') return `an integer from 0 to ${2n ** 64n - 1n}`;
  if (schema.type === 'integer') return `an integer from ${schema.minimum} to ${schema.maximum}`;
  return (
    { boolean: 'true or false', string: 'a string', array: 'an array' }[schema.type] ?? 'an object'
  );
}

function wordsOfList(values) {
  const quoted = values.map((value) => JSON.stringify(value));
  return quoted.length === 1 ? quoted[0] : `one of ${quoted.join(', ')}`;
}

/** What `reference` names, as seen from the schema `path`: that subschema and the path it's in. */
function resolve(reference, path) {
  const [file, pointer = ''] = reference.split('#');
  const target =
    file === '' ? path : posix.join(posix.dirname(path), file.slice(0, -SUFFIX.length));
  const keys = pointer.split('/').slice(1);
  return [keys.reduce((schema, key) => schema[key], schemas.get(target)), target];
}

/**
 * The keyword `integer64`: "signed" or "unsigned". JSON Schema's bounds are numbers, and numbers
 * round beyond 2^53; so a bigint is checked exactly, and a number as far as it can be.
 */
function integer64() {
  return {
    keyword: 'integer64',
    schemaType: 'string',
    metaSchema: { enum: ['signed', 'unsigned'] },
    error: { message: '' },
    code(context) {
      const { data, schema } = context;
      const [low, high] = schema === 'signed' ? [_`-(2n**63n)`, _`2n**63n`] : [_`0n`, _`2n**64n`];
      context.fail(
        _`!(typeof ${data} == "bigint" ? ${data} >= ${low} && ${data} < ${high} : Number.isInteger(${data}) && ${data} >= ${low} && ${data} <= ${high})`,
      );
    },
  };
}
