/**
 * Builds scow for tests that inject faults, under Bun: `faulty.ts FOLDER` makes
 *   FOLDER/scow-engine   the Bun executable, which is scow-bundle when it is called so
 *   FOLDER/scow.js       scow for Node.js
 *
 * It is the program as it is, but for the modules that make system calls: those of test/faulty
 * stand in for them. What users get has no trace of it.
 */
import { rename } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import type { BunPlugin } from 'bun';

const root = dirname(import.meta.dir);
const folder = process.argv[2];
if (folder === undefined) throw new Error('which folder?');

const STAND_INS: Readonly<Record<string, string>> = {
  'runtime/linux/syscall.ts': 'test/faulty/syscall.ts',
  'runtime/init/x86-64.ts': 'test/faulty/x86-64.ts',
};

const faults: BunPlugin = {
  name: 'faults',
  setup(build) {
    build.onResolve({ filter: /(syscall|x86-64)\.ts$/ }, ({ path, importer }) => {
      const file = relative(root, resolve(dirname(importer), path));
      const standIn = STAND_INS[file];
      if (standIn === undefined || importer.includes('/test/faulty/')) return undefined;
      return { path: join(root, standIn) };
    });
    // Not resolved like other modules: these are the engine's own.
    build.onLoad({ filter: /\/(?:runtime|bundle)\/.*\.ts$/ }, async ({ path }) => {
      const text = await Bun.file(path).text();
      const contents = text.replaceAll(
        "from 'node:fs'",
        `from '${join(root, 'test/faulty/fs.ts')}'`,
      );
      return { contents, loader: 'ts' };
    });
  },
};

async function build(entry: string, config: Partial<Bun.BuildConfig>): Promise<void> {
  const result = await Bun.build({
    entrypoints: [join(root, entry)],
    format: 'esm',
    plugins: [faults],
    ...config,
  } as Bun.BuildConfig);
  if (!result.success) throw new AggregateError(result.logs, `cannot build ${entry}`);
}

// Under temporary names: a test may run what another is about to build.
const made = (name: string) => join(folder, `.${process.pid}-${name}`);
await build('bin/executable.ts', {
  target: 'bun',
  splitting: true,
  bytecode: true,
  compile: {
    outfile: made('scow-engine'),
    jitPolicy: 100,
    autoloadDotenv: false,
    autoloadBunfig: false,
  },
});
await build('bin/scow.ts', { target: 'node', outdir: folder, naming: `.${process.pid}-scow.js` });
for (const name of ['scow-engine', 'scow.js']) await rename(made(name), join(folder, name));
