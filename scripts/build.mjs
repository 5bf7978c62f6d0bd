/**
 * npm run build: makes
 *   dist/               JavaScript for Node.js: node dist/bin/scow.js
 *   build/scow-engine   the Bun executable
 *   build/scow          the launcher in front of it, and scow-bundle, its second name
 *   build/man/          the manual pages
 *
 * Everything is made under a temporary name first: a build that fails, or runs while scow is in
 * use, leaves the old files whole.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { aligned } from './align.mjs';
import { flatten } from './flatten.mjs';
import { writeManuals } from './man.mjs';

const ENGINE = 'scow-engine';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const build = join(root, 'build');
const temporary = join(build, `.new-${process.pid}`);

/** Runs a command in the project's folder; its output is ours. */
function run(command, ...args) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${basename(command)} ${args[0]} failed (${signal ?? status})`);
}

function tool(name) {
  return join(root, 'node_modules/.bin', name);
}

/** Types are checked by `npm run lint`, not here, so that a build takes two seconds. */
function buildForNode() {
  const out = join(temporary, 'dist');
  run(tool('tsc'), '--project', 'tsconfig.build.json', '--noCheck', '--outDir', out);
  cpSync(join(root, 'schemas/validators'), join(out, 'schemas/validators'), { recursive: true });
  const dist = join(root, 'dist');
  if (existsSync(dist)) renameSync(dist, join(temporary, 'old-dist'));
  renameSync(out, dist);
}

/** The commit that is built, which engines ask for; none where the sources came without their history. */
function commit() {
  const { status, stdout } = spawnSync('git', ['rev-parse', 'HEAD'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(root) },
  });
  return status === 0 ? ['--define', `BUILT_FROM="${stdout.trim()}"`] : [];
}

/**
 * The executable must not take settings, and with them code, from the folder it is called in,
 * which may be a bundle that a stranger made: hence the switches against automatic loading,
 * those that are Bun's default today included.
 */
async function buildEngine() {
  const compiled = join(temporary, 'compiled');
  const entry = await flatten(root, 'bin/executable.ts', join(temporary, 'flat'));
  run(
    tool('bun'),
    'build',
    entry,
    '--compile',
    '--bytecode',
    '--format=esm',
    // Without it all modules are initialized at the start, those behind import() included.
    '--splitting',
    // yargs reads the package.json of the current folder unless its own file seems to be in one
    // of these.
    '--chunk-naming=node_modules/[name]-[hash].[ext]',
    // A command of the runtime is over before compiled code would pay: 80 ms of CPU become 45.
    '--compile-jit-policy=100',
    // What is not in the file need not be mapped and decoded at each start.
    '--minify',
    '--no-compile-autoload-dotenv',
    '--no-compile-autoload-bunfig',
    '--no-compile-autoload-tsconfig',
    '--no-compile-autoload-package-json',
    ...commit(),
    `--outfile=${compiled}`,
  );
  const out = join(temporary, ENGINE);
  // Written by one call: the page cache then has it in large pieces, which are mapped at once.
  writeFileSync(out, aligned(readFileSync(compiled)), { mode: 0o755 });
  renameSync(out, join(build, ENGINE));
}

async function buildLauncher() {
  const { assembleLauncher } = await import(join(root, 'dist/runtime/launcher/x86-64.js'));
  const out = join(temporary, 'scow');
  writeFileSync(out, assembleLauncher(ENGINE), { mode: 0o755 });
  renameSync(out, join(build, 'scow'));
  const second = join(temporary, 'scow-bundle');
  symlinkSync('scow', second);
  renameSync(second, join(build, 'scow-bundle'));
}

async function buildManuals() {
  const out = join(temporary, 'man');
  mkdirSync(out);
  await writeManuals(join(root, 'dist'), out);
  const pages = join(build, 'man');
  if (existsSync(pages)) renameSync(pages, join(temporary, 'old-man'));
  renameSync(out, pages);
}

mkdirSync(temporary, { recursive: true });
try {
  run(process.execPath, 'scripts/validators.mjs');
  buildForNode();
  await buildEngine();
  await buildLauncher();
  await buildManuals();
} catch (error) {
  console.error(`build: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
