import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageConfig, Index, Manifest } from '../../../schemas/image.ts';
import { bundlerCommand, scowBundle } from '../../helpers/bundler.ts';
import { lowerLayers } from '../../helpers/change-tree.ts';
import { LayoutBuilder, tagged } from '../../helpers/layout.ts';
import { makeNastyTree } from '../../helpers/nasty-tree.ts';
import { program } from '../../helpers/program.ts';
import type { EditableConfig, Engine } from '../../helpers/scow.ts';
import { archive, directory, file, symlink } from '../../helpers/tar.ts';

/** Ways to make a bundle. */
export type Making = 'unpack' | 'create' | 'create --copy';

/** A place to make images of bundles, with a store and an image in it: `base:1`. */
export class Workshop {
  readonly home = mkdtempSync(join(tmpdir(), 'scow-commit-'));
  /** The same image in a layout. */
  readonly base: string;
  #count = 0;

  constructor() {
    // Overlays want an upper directory that is on none itself.
    execFileSync('mount', ['-t', 'tmpfs', 'scow-test', this.home]);
    const layout = new LayoutBuilder(join(this.home, 'base'));
    const config = {
      config: {
        Cmd: ['/bin/app'],
        Env: ['PATH=/bin', 'A=1'],
        Volumes: { '/var/run/volume': {} },
        Healthcheck: { Test: ['NONE'] },
      },
      history: [{ created_by: 'first' }, { created_by: 'env', empty_layer: true }],
    };
    const layers = [this.#nastyLayer(), ...lowerLayers()];
    this.base = `${layout.finish(tagged(layout.image({ layers, config }), 'v1'))}:v1`;
    this.ok('copy', `oci:${this.base}`, 'base:1');
  }

  close(): void {
    execFileSync('umount', ['-l', this.home]);
    rmSync(this.home, { recursive: true });
  }

  /** A path that nobody has used. */
  next(name: string): string {
    return join(this.home, `${name}-${this.#count++}`);
  }

  /** Runs scow-bundle, which must succeed. @returns what it prints */
  ok(...args: string[]): string {
    return this.okUnder('bun', {}, ...args).toString();
  }

  okUnder(engine: Engine, env: NodeJS.ProcessEnv, ...args: string[]): Buffer {
    const [command, ...first] = bundlerCommand(engine);
    return execFileSync(command, [...first, '--store', join(this.home, 'store'), ...args], {
      env: { ...process.env, ...env },
      maxBuffer: 2 ** 26,
      stdio: 'pipe',
    });
  }

  /** Runs scow-bundle. */
  try(...args: string[]) {
    return scowBundle(['--store', join(this.home, 'store'), ...args]);
  }

  /** Runs another program, which must succeed. @returns what it prints */
  run(command: string, ...args: string[]): string {
    return program(command, args, { CONTAINERS_STORAGE_CONF: join(this.home, 'storage.conf') });
  }

  /** Makes a bundle, with something mounted in it. */
  bundle(how: Making, image = 'base:1'): string {
    const bundle = this.next('bundle');
    if (how === 'unpack') this.ok('unpack', '--image', this.base, bundle);
    else this.ok(...how.split(' '), '--quiet', image, bundle);
    this.edit(bundle, ({ mounts }) =>
      mounts?.push({ destination: '/mnt/made/for/mount', type: 'tmpfs', source: 'tmpfs' }),
    );
    return bundle;
  }

  /** Edits a bundle's config.json. */
  edit(bundle: string, change: (config: EditableConfig) => void): void {
    const path = join(bundle, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8'));
    change(config);
    writeFileSync(path, JSON.stringify(config));
  }

  /** Puts an image with a shell, in which a container can change something, into the store. */
  addShell(): void {
    const layout = new LayoutBuilder(this.next('shell'));
    const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
    const tree = archive(
      ...['bin', 'etc', 'data'].map((name) => directory(name)),
      file('bin/sh', readFileSync(busybox ?? ''), { mode: 0o755 }),
      file('etc/keep', 'k'),
      file('etc/resolv.conf', 'image'),
      symlink('var', 'data'),
    );
    const config = { config: { Cmd: ['/bin/sh'], Volumes: { '/var/volume': {} } } };
    const image = layout.image({ layers: [tree], config });
    this.ok('load', '-i', layout.finish(tagged(image, 'shell')));
  }

  #nastyLayer(): Buffer {
    const tree = join(this.home, 'tree');
    mkdirSync(tree);
    makeNastyTree(tree);
    const flags = ['--format=pax', '--xattrs', '--xattrs-include=*', '--sort=name'];
    return execFileSync('tar', ['-C', tree, ...flags, '-c', '.'], { maxBuffer: 2 ** 26 });
  }
}

/** What a layout has under a tag. */
export function readImage(
  layout: string,
  tag: string,
): { readonly manifest: Manifest; readonly config: ImageConfig } {
  const blob = (digest: string) =>
    JSON.parse(readFileSync(join(layout, 'blobs', ...digest.split(':')), 'utf8'));
  const index: Index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
  const found = index.manifests.find(({ annotations }) =>
    Object.values(annotations ?? {}).includes(tag),
  );
  const manifest: Manifest = blob(found?.digest as string);
  return { manifest, config: blob(manifest.config.digest) };
}
