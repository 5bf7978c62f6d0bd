import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageConfig, Index, Manifest } from '../../../../schemas/image.ts';
import { bundlerCommand } from '../../../helpers/bundler.ts';
import { program } from '../../../helpers/program.ts';
import type { Engine } from '../../../helpers/scow.ts';
import { archive, directory, file } from '../../../helpers/tar.ts';

/** What tests of images have in common: a folder with stores, and two small images in one of them. */

export const TREE = archive(directory('etc'), file('etc/a', 'a'), file('b', 'b'));

/** The names of the images in `store`. */
export const APP = 'localhost/app:1';
export const TEAM = 'registry.example.com/team/app:2';

let home: string;
export const at = (...names: string[]) => join(home, ...names);

/** Makes it all, before the tests of a file. */
export function setUp(): void {
  home = mkdtempSync(join(tmpdir(), 'scow-archives-'));
  const storage = `driver = "vfs"\ngraphroot = "${home}/graph"\nrunroot = "${home}/run"\n`;
  writeFileSync(at('storage.conf'), `[storage]\n${storage}`);
  writeFileSync(at('tree.tar'), TREE);
  ok('import', '--change', 'CMD ["/b"]', '--message', 'first', at('tree.tar'), 'app:1');
  ok('config', '--env', 'A=1', '--tag', 'registry.example.com/team/app:2', 'app:1');
}

/** Removes it. */
export function tearDown(): void {
  rmSync(home, { recursive: true, force: true });
}

interface Options {
  readonly store?: string;
  readonly engine?: Engine;
  readonly input?: Buffer;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs scow-bundle. */
export function bundler(
  args: readonly string[],
  { store = 'store', engine = 'bun', input, env }: Options,
) {
  const [command, ...first] = bundlerCommand(engine);
  const { status, stdout, stderr } = spawnSync(command, [...first, '--store', at(store), ...args], {
    ...(input === undefined ? {} : { input }),
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 26,
  });
  return { status, stdout: stdout.toString('latin1'), stderr: stderr.toString() };
}

/** Runs scow-bundle, which must succeed. @returns what it prints */
export function ok(...args: string[]): string {
  return okIn({}, ...args);
}

export function okIn(options: Options, ...args: string[]): string {
  const { status, stdout, stderr } = bundler(args, options);
  if (status !== 0) throw new Error(`scow-bundle ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Runs scow-bundle, which must fail. @returns what it says */
export function fails(...args: string[]): string {
  const { status, stderr } = bundler(args, { store: 'failing' });
  expect({ args, status }).toEqual({ args, status: 1 });
  return stderr;
}

/** Runs another program, which must succeed. */
export function run(command: string, ...args: string[]): string {
  return program(command, args, { CONTAINERS_STORAGE_CONF: at('storage.conf') });
}

/** A blob of a store. */
export const blobOf = (store: string, digest: string) =>
  readFileSync(at(store, 'blobs', ...digest.split(':')));

/** The digest that a name leads to. */
export function root(store: string, name: string): string {
  const index: Index = JSON.parse(readFileSync(at(store, 'index.json'), 'utf8'));
  const found = index.manifests.find(
    ({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === name,
  );
  if (found === undefined) throw new Error(`${store} has no ${name}`);
  return found.digest;
}

/** What a store has under a name. */
export function image(
  store: string,
  name: string,
): { digest: string; manifest: Manifest; config: ImageConfig } {
  const digest = root(store, name);
  const manifest: Manifest = JSON.parse(blobOf(store, digest).toString());
  const config: ImageConfig = JSON.parse(blobOf(store, manifest.config.digest).toString());
  return { digest, manifest, config };
}
