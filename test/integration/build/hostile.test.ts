import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

// The current folder of `scow run` is a bundle, which a stranger may have made.

const SCOW = resolve('build/scow');
const SCOW_BUNDLE = resolve('build/scow-bundle');

const COMMANDS: readonly (readonly [string, ...string[]])[] = [
  [SCOW, '--version'],
  [SCOW, '--help'],
  [SCOW, 'list'],
  [SCOW, 'spec', '--bundle', '/nonexistent'],
  [SCOW, 'run', 'hostile-test'],
  [SCOW_BUNDLE, '--help'],
  [SCOW_BUNDLE, 'unpack', '--image', 'no-layout:latest', 'bundle'],
];

/** Files by which Bun or Node.js can be told, from the current folder or HOME, to load code. */
const FILES = [
  '.env',
  '.env.local',
  '.env.production',
  '.npmrc',
  'bun.lock',
  'bunfig.toml',
  '.bunfig.toml',
  'package.json',
  'tsconfig.json',
  'jsconfig.json',
  'node_modules',
  'evil.cjs',
];

let folder: string;
let hostile: string;
let harmless: string;
let marker: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scow-hostile-'));
  hostile = join(folder, 'hostile');
  harmless = join(folder, 'harmless');
  marker = join(folder, 'code-was-run');
  mkdirSync(hostile);
  mkdirSync(harmless);
  makeHostile(hostile);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => rmSync(marker, { force: true }));

function makeHostile(at: string): void {
  const evil = `require('node:fs').writeFileSync(${JSON.stringify(marker)}, 'x');`;
  const write = (name: string, content: string) => writeFileSync(join(at, name), content);
  write('evil.cjs', evil);
  for (const name of ['.env', '.env.local', '.env.production']) {
    write(name, 'BUN_OPTIONS="--preload=./evil.cjs"\nNODE_OPTIONS="--require=./evil.cjs"\n');
  }
  for (const name of ['bunfig.toml', '.bunfig.toml']) {
    write(name, 'preload = ["./evil.cjs"]\n[run]\nbun = true\n');
  }
  const everything = { compilerOptions: { baseUrl: '.', paths: { '*': ['./evil.cjs'] } } };
  write('tsconfig.json', JSON.stringify(everything));
  write('jsconfig.json', JSON.stringify(everything));
  write('package.json', JSON.stringify({ type: 'commonjs', imports: { '#*': './evil.cjs' } }));
  write('.npmrc', 'node-options=--require=./evil.cjs\n');
  write('bun.lock', '{}');
  for (const name of ['yargs', 'ajv', 'fzstd', 'tar-stream', 'ffi-napi', 'ref-napi']) {
    const module = join(at, 'node_modules', name);
    mkdirSync(module, { recursive: true });
    writeFileSync(join(module, 'package.json'), JSON.stringify({ name, main: 'index.js' }));
    writeFileSync(join(module, 'index.js'), evil);
  }
}

function run([command, ...args]: readonly [string, ...string[]], cwd: string, env = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env: { PATH: process.env.PATH, HOME: harmless, ...env },
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  // The names of the folders may be in a message; they are all that may differ.
  return { status, stdout: stdout.replaceAll(cwd, '.'), stderr: stderr.replaceAll(cwd, '.') };
}

describe.each(COMMANDS.map((command) => [command.join(' ').replace(`${resolve()}/`, ''), command]))(
  '%s',
  (_name, words) => {
    const command = words as readonly [string, ...string[]];

    test('opens no file of its current folder or HOME that could steer an engine', () => {
      const trace = join(folder, 'trace');
      const strace = ['strace', '-f', '-qq', '-e', 'trace=%file', '-o', trace] as const;
      run([...strace, ...command], hostile, { HOME: hostile, XDG_CONFIG_HOME: hostile });
      const calls = readFileSync(trace, 'utf8').split('\n').slice(0, -1);
      expect(calls.length).toBeGreaterThan(0);
      const touched = calls.filter((call) =>
        FILES.some((file) => call.includes(`"${file}`) || call.includes(`/${file}`)),
      );
      expect(touched).toEqual([]);
      expect(existsSync(marker)).toBe(false);
    });

    test('does the same as in a harmless folder', () => {
      const environment = { HOME: hostile, XDG_CONFIG_HOME: hostile };
      expect(run(command, hostile, environment)).toEqual(run(command, harmless));
      expect(existsSync(marker)).toBe(false);
    });

    test.each([
      ['BUN_OPTIONS', '--preload=./evil.cjs'],
      ['BUN_BE_BUN', '1'],
      ['BUN_INSPECT', 'unix:///nonexistent/socket'],
      ['BUN_INSPECT_PRELOAD', './evil.cjs'],
      ['BUN_JSC_dumpOptions', '2'],
      ['JSC_SIGNAL_FOR_GC', '99'],
      ['MIMALLOC_VERBOSE', '1'],
      ['NODE_OPTIONS', '--require=./evil.cjs'],
      ['NODE_PATH', './node_modules'],
      ['NODE_CHANNEL_FD', '1'],
    ])('takes no orders from %s=%s', (name, value) => {
      expect(run(command, hostile, { [name]: value })).toEqual(run(command, hostile));
      expect(existsSync(marker)).toBe(false);
    });
  },
);

test('these files do steer an engine that is not told otherwise', () => {
  const bun = resolve('node_modules/.bin/bun');
  const harmlessScript = join(harmless, 'script.js');
  writeFileSync(harmlessScript, '');
  run([bun, harmlessScript], hostile);
  expect(existsSync(marker)).toBe(true);
});
