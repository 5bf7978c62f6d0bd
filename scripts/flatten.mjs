/**
 * Prepares the executable's code so that it starts sooner: a command calls some hundred functions
 * once each, and each costs more to be loaded than to be run (docs/decisions/start-cost.md). So
 * what an engine's usual commands need becomes one file, in which functions that are called once
 * stand where they are called.
 *
 * rolldown makes the file, Closure Compiler's SIMPLE optimizations inline. The latter knows
 * neither private elements nor `import()` nor Bun's modules: these are written in another way
 * before it and, where need be, back again after it, by the places that the parser tells.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { parseAst } from 'rolldown/parseAst';

/** What is loaded at once: the way into the program, and the commands that engines give. */
const USUAL =
  /\/(bin\/executable|runtime\/cli\/(main|create|delete|exec|kill|run|start|state))\.ts$/;
const NAME = 'usual';

/** A module whose functions take nothing and always make the same: the stubs' machine code. */
const CONSTANT = 'runtime/linux/x86-64/stubs';

/** The helper by which rolldown makes what `import()` of a module in the same file gives. */
const NAMESPACE = '__exportAll';

/** Stand for what the optimizer does not know; no identifier of ours begins so. */
const IMPORT = '__import';
const EXPORTS = '__exports';

/**
 * Writes the modules of an executable to a folder, those of the usual commands as one optimized file.
 * The JavaScript for Node.js must have been built.
 *
 * @param root the project's folder
 * @param entry the executable's first module, below it
 * @param folder where the files go
 * @returns the first of them
 * @throws Error when the code has something that could not be written in another way
 */
export async function flatten(root, entry, folder) {
  const bundle = await rolldown({
    input: { executable: join(root, entry) },
    platform: 'node',
    // Bun bundles the packages.
    external: (id) => !/^[./]/.test(id),
    plugins: [{ name: 'constant', load: (id) => loadConstant(root, id) }],
  });
  const { output } = await bundle.write({
    dir: folder,
    format: 'esm',
    chunkFileNames: '[name]-[hash].js',
    codeSplitting: { groups: [{ name: NAME, test: USUAL }] },
  });
  const { fileName, code } = output.find(({ isEntry }) => isEntry);
  const file = join(folder, fileName);
  writeFileSync(file, optimize(root, folder, code));
  return file;
}

/** @returns the source of a module that need not compute what it exports; else undefined */
async function loadConstant(root, id) {
  if (id !== join(root, `${CONSTANT}.ts`)) return undefined;
  const exported = Object.entries(await import(join(root, 'dist', `${CONSTANT}.js`)));
  return exported
    .map(([name, value]) => {
      if (value.length > 0) throw new Error(`${CONSTANT}: what ${name} makes depends on arguments`);
      const source = typeof value === 'function' ? `() => (${literal(value())})` : literal(value);
      return `export const ${name} = ${source};`;
    })
    .join('\n');
}

/** @returns an expression for bytes, a number, or an object of these */
function literal(value) {
  if (value instanceof Uint8Array) return `new Uint8Array([${value}])`;
  if (typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, part]) => `${name}: ${literal(part)}`)}}`;
}

function optimize(root, folder, code) {
  const { imports, plain } = withoutModules(code);
  const externs = [IMPORT, EXPORTS, ...imports.flatMap(({ locals }) => locals)];
  const optimized = compile(root, folder, plain, `var ${externs.join(', ')};`);
  const body = withExports(optimized).replaceAll(`${IMPORT}(`, 'import(');
  return [...imports.map(({ text }) => text), body].join('\n');
}

/** @returns the code with exports in the place of the assignments that stood for them */
function withExports(code) {
  const edits = [];
  const clauses = [];
  for (const statement of parseAst(code).body) {
    const { type, expression } = statement;
    if (type !== 'ExpressionStatement') continue;
    const parts = expression.type === 'SequenceExpression' ? expression.expressions : [expression];
    const places = parts.map(({ left }) => left?.object?.name === EXPORTS && left.property.name);
    const texts = parts.map(({ right, start, end }, i) => {
      const name = places[i];
      if (!name) return `${code.slice(start, end)};`;
      const named = right.type === 'Identifier';
      const local = named ? right.name : `${EXPORTS}_${name}`;
      clauses.push(`${local} as ${name}`);
      return named ? '' : `var ${local} = ${code.slice(right.start, right.end)};`;
    });
    if (places.some(Boolean)) edits.push({ ...statement, text: texts.join('') });
  }
  return `${edited(code, edits)}\nexport { ${clauses.join(', ')} };`;
}

/** Puts texts in the place of parts. */
function edited(code, edits) {
  let text = code;
  for (const edit of edits.toSorted((a, b) => b.start - a.start))
    text = text.slice(0, edit.start) + edit.text + text.slice(edit.end);
  return text;
}

/** @returns the code with assignments in the place of its exports, and what was taken out of it */
function withoutModules(code) {
  const edits = [];
  const imports = [];
  const program = parseAst(code);
  const kinds = new Map(
    program.body
      .filter(({ type }) => type === 'VariableDeclaration')
      .flatMap(({ kind, declarations }) => declarations.map(({ id }) => [id.name, kind])),
  );
  const names = privateNames();
  visit(program, (node, classes) => {
    const replace = (text) => edits.push({ start: node.start, end: node.end, text });
    if (node.type === 'PrivateIdentifier') {
      replace(names.of(node, classes));
    } else if (node.left?.type === 'PrivateIdentifier') {
      throw new Error(`nothing stands for: ${code.slice(node.start, node.end)}`);
    } else if (node.type === 'ImportExpression') {
      edits.push({ start: node.start, end: node.start + 'import'.length, text: IMPORT });
    } else if (node.type === 'CallExpression' && node.callee.name === NAMESPACE) {
      replace(namespace(node.arguments[0], code));
    } else if (node.type === 'ImportDeclaration') {
      const locals = node.specifiers.map(({ local }) => local.name);
      imports.push({ text: code.slice(node.start, node.end), locals });
      replace('');
    } else if (node.type === 'ExportNamedDeclaration') {
      const pairs = node.specifiers.map(({ local, exported: { name } }) => [local.name, name]);
      for (const [local] of pairs) checkConstant(local, kinds.get(local));
      replace(pairs.map(([local, name]) => `${EXPORTS}.${name} = ${local};`).join('\n'));
    }
  });
  return { imports, plain: edited(code, edits) };
}

/** What rolldown would make by its helper, while the program starts, as one expression. */
function namespace({ properties }, code) {
  const getters = properties.map(({ key, value: { type, body } }) => {
    if (type !== 'ArrowFunctionExpression' || body.type === 'BlockStatement')
      throw new Error(`nothing stands for: ${code.slice(key.start, body.end)}`);
    const [name, value] = [key, body].map(({ start, end }) => code.slice(start, end));
    return `get ${name}() { return ${value}; }`;
  });
  return `{ ${getters.join(', ')} }`;
}

/** The optimizer sees an export as one assignment, at the end. */
function checkConstant(name, kind) {
  if (kind === 'let') throw new Error(`${name} is exported and may change`);
}

/** Names for private elements that no class shares with another, its own superclass included. */
function privateNames() {
  const given = new Map();
  let count = 0;
  const declares = (body, { name }) =>
    body.body.some(({ key }) => key?.type === 'PrivateIdentifier' && key.name === name);
  return {
    of(identifier, classes) {
      const owner = classes.findLast((body) => declares(body, identifier));
      if (!given.has(owner)) given.set(owner, new Map());
      const own = given.get(owner);
      if (!own.has(identifier.name)) own.set(identifier.name, `$${(count++).toString(36)}`);
      return own.get(identifier.name);
    },
  };
}

/** @param look is called with each node, and the bodies of the classes around it */
function visit(node, look, classes = []) {
  if (Array.isArray(node)) {
    for (const one of node) visit(one, look, classes);
  } else if (typeof node?.type === 'string') {
    look(node, classes);
    const within = node.type === 'ClassBody' ? [...classes, node] : classes;
    for (const value of Object.values(node))
      if (typeof value === 'object') visit(value, look, within);
  }
}

/** Runs Closure Compiler over code of which nothing is seen from outside but the externs. */
function compile(root, folder, code, externs) {
  const [input, declared] = ['input.js', 'externs.js'].map((name) => join(folder, name));
  writeFileSync(input, code);
  writeFileSync(declared, externs);
  const compiler = join(root, 'node_modules/google-closure-compiler-linux/compiler');
  const args = [
    '--compilation_level=SIMPLE',
    '--assume_function_wrapper',
    '--env=CUSTOM',
    '--language_in=UNSTABLE',
    '--language_out=UNSTABLE',
    '--rewrite_polyfills=false',
    '--emit_use_strict=false',
    '--jscomp_off=*',
    `--externs=${declared}`,
    `--js=${input}`,
  ];
  const { error, status, stdout, stderr } = spawnSync(compiler, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`the optimizer failed (${status}): ${stderr}`);
  return stdout;
}
