import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RuntimeConfig } from '../../../../schemas/runtime-config.ts';
import { bundlerCommand, scowBundle } from '../../../helpers/bundler.ts';
import { forPlatform, LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-test.ts';
import { layout } from '../../../helpers/places/layout-per-test.ts';
import { reachableBuild } from '../../../helpers/reachable-build.ts';
import { ENGINES } from '../../../helpers/scow.ts';
import { archive, directory, file } from '../../../helpers/tar.ts';
import { readTree } from '../../../helpers/tree.ts';

const bundle = () => join(home, 'bundle');
const BASE = archive(
  directory('etc'),
  file('etc/passwd', 'root:x:0:0::/root:/bin/sh\napp:x:7:8::/:/bin/sh\n'),
);
const configOf = (path: string): RuntimeConfig =>
  JSON.parse(readFileSync(join(path, 'config.json'), 'utf8'));

/** Unpacks `reference` below the layout, with success. */
function unpack(reference: string, ...flags: string[]): RuntimeConfig {
  const image = `${layout.path}${reference}`;
  expect(scowBundle(['unpack', '--image', image, ...flags, bundle()])).toEqual({
    status: 0,
    stdout: '',
    stderr: '',
  });
  return configOf(bundle());
}

/** An image that takes so long to unpack that something can happen meanwhile. */
let large: string;
beforeAll(() => {
  const builder = new LayoutBuilder(mkdtempSync(join(tmpdir(), 'scow-test-')));
  const files = Array.from({ length: 64 }, (_, i) => file(`file-${i}`, Buffer.alloc(2 ** 20, i)));
  large = builder.finish(builder.image({ layers: [archive(...files)], plain: true }));
});
afterAll(() => rmSync(large, { recursive: true }));

describe.each(ENGINES)('under %s', (engine) => {
  test('a layout becomes a bundle, and what happens is told to programs', () => {
    const second = archive(file('second', 'layer'));
    const image = layout.image({ layers: [BASE, second], config: { config: { User: 'app' } } });
    layout.finish(tagged(image, 'latest'));
    const args = ['unpack', '--image', layout.path, '--json', bundle()];
    const { status, stdout, stderr } = scowBundle(args, { engine });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(readFileSync(join(bundle(), 'rootfs/second'), 'utf8')).toBe('layer');
    expect(configOf(bundle()).process?.user).toEqual({ uid: 7, gid: 8 });
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.at(0)).toMatchObject({ event: 'begin', platform: 'linux/amd64' });
    expect(events.filter(({ event }) => event === 'layer').map(({ index }) => index)).toEqual([
      0, 1,
    ]);
    expect(events.at(-1)).toMatchObject({
      event: 'end',
      bundle: bundle(),
      manifest: image.digest,
      layers: [{ size: expect.any(Number) }, { size: expect.any(Number) }],
      bytes: events.at(0).bytes,
    });
    expect(events.filter(({ event }) => event === 'progress').at(-1).bytes).toBe(
      events.at(0).bytes,
    );
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s leaves nothing behind', async (signal) => {
    const [command, ...first] = bundlerCommand(engine);
    const args = [...first, 'unpack', '--image', large, '--json', bundle()];
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    child.stdout.once('data', () => child.kill(signal));
    const [status] = await once(child, 'close');
    expect(status).toBe(signal === 'SIGINT' ? 130 : 143);
    expect(stderr).toBe(`scow-bundle: stopped by ${signal}: nothing of ${bundle()} was left\n`);
    expect(readdirSync(home)).toEqual(['layout']);
  });

  test('SIGKILL leaves only what the next unpack removes', async () => {
    const [command, ...first] = bundlerCommand(engine);
    const args = [...first, 'unpack', '--image', large, '--json', bundle()];
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.once('data', () => child.kill('SIGKILL'));
    await once(child, 'close');
    expect(readdirSync(home).filter((name) => name.startsWith('.bundle.scow-'))).toHaveLength(1);
    expect(existsSync(bundle())).toBe(false);
    expect(scowBundle(args.slice(first.length), { engine }).status).toBe(0);
    expect(readdirSync(home)).toEqual(['bundle', 'layout']);
  });

  test('a full disk is reported, and left as it was', () => {
    const disk = join(home, 'disk');
    mkdirSync(disk);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'scow-test', disk]).status).toBe(0);
    try {
      const target = join(disk, 'bundle');
      const { status, stderr } = scowBundle(['unpack', '--image', large, target], { engine });
      expect(status).toBe(1);
      expect(stderr).toMatch(/^scow-bundle: layer 1 of 1 .*file-\d+.*no space left on device.*\n$/);
      expect(readdirSync(disk)).toEqual([]);
    } finally {
      spawnSync('umount', [disk]);
    }
  });
});

describe('the choice of the image', () => {
  const variant = (label: string, fields: object = {}) =>
    layout.image({ config: { config: { Labels: { label } }, ...fields } });
  const labelIn = (config: RuntimeConfig) => config.annotations?.label;

  test("this machine's platform, or the wanted one, is found in a nested index", () => {
    layout.finish(
      tagged(
        layout.index(
          forPlatform(variant('arm'), 'linux/arm64'),
          layout.index(forPlatform(variant('inner'), `linux/${GOARCH}`)),
          forPlatform(variant('later'), `linux/${GOARCH}`),
        ),
        'v1',
      ),
    );
    expect(labelIn(unpack(':v1'))).toBe('inner');
    rmSync(bundle(), { recursive: true });
    expect(labelIn(unpack(':v1', '--platform', 'linux/aarch64'))).toBe('arm');
  });

  test('of several variants the nearest is taken', () => {
    layout.finish(
      forPlatform(variant('five'), 'linux/arm/v5'),
      forPlatform(variant('seven'), 'linux/arm/v7'),
      forPlatform(variant('eight'), 'linux/arm/v8'),
    );
    expect(labelIn(unpack('', '--platform', 'linux/arm/v7'))).toBe('seven');
    rmSync(bundle(), { recursive: true });
    expect(labelIn(unpack('', '--platform', 'linux/arm/v6'))).toBe('five');
  });

  test('an entry without a platform is judged by its configuration', () => {
    layout.finish(
      layout.index(
        variant('arm', { architecture: 'arm64' }),
        variant('right', { architecture: GOARCH }),
      ),
    );
    expect(labelIn(unpack(''))).toBe('right');
  });

  test('entries of unknown types are passed over', () => {
    const stranger = layout.blob('application/xml', Buffer.from('<x/>'));
    layout.finish(layout.index(stranger, forPlatform(variant('image'), `linux/${GOARCH}`)));
    expect(labelIn(unpack(''))).toBe('image');
  });

  test('an image for another machine is unpacked with a warning', () => {
    layout.finish(variant('x', { architecture: 's390x' }));
    const { status, stderr } = scowBundle(['unpack', '--image', layout.path, bundle()]);
    expect(status).toBe(0);
    expect(stderr).toBe(
      `scow-bundle: warning: the image is for linux/s390x, this machine is linux/${GOARCH}\n`,
    );
  });
});

const GOARCH = process.arch === 'x64' ? 'amd64' : process.arch;

test("Docker's media types are taken as well", () => {
  const config = layout.blob('application/vnd.docker.container.image.v1+json', {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['docker'], Env: null, Volumes: null },
    rootfs: { type: 'layers', diff_ids: [] },
    docker_version: '20.10',
  });
  const type = 'application/vnd.docker.distribution.manifest.v2+json';
  layout.finish(layout.blob(type, { schemaVersion: 2, mediaType: type, config, layers: [] }));
  expect(unpack('').process?.args).toEqual(['docker']);
});

test('a terminal is given on request only', () => {
  layout.finish(layout.image());
  expect(unpack('').process?.terminal).toBe(false);
  rmSync(bundle(), { recursive: true });
  expect(unpack('', '-t').process?.terminal).toBe(true);
});

test('a rootless bundle maps its user to root, and shares the network', () => {
  layout.finish(layout.image({ layers: [BASE] }));
  const { linux, process: program } = unpack('', '--rootless');
  expect(linux).toMatchObject({
    uidMappings: [{ containerID: 0, hostID: process.geteuid?.(), size: 1 }],
    gidMappings: [{ containerID: 0, hostID: process.getegid?.(), size: 1 }],
  });
  expect(linux?.namespaces?.map(({ type }) => type)).toEqual([
    'pid',
    'ipc',
    'uts',
    'mount',
    'cgroup',
    'user',
  ]);
  expect(linux?.resources).toBeUndefined();
  expect(program?.user).toEqual({ uid: 0, gid: 0 });
});

test('an ordinary user gets a bundle of their own', () => {
  // As /etc/shadow is in some distributions: of another owner, and nobody may write to it.
  const shadow = file('a', '', { uid: 5, gid: 6, mode: 0 });
  layout.finish(
    layout.image({ layers: [archive(shadow, file('b', '', { uid: 5, mode: 0o444 }))] }),
  );
  const target = join(home, 'mine');
  mkdirSync(target);
  spawnSync('chown', ['-R', '65534:65534', home]);
  const command = join(reachableBuild(home), 'scow-bundle');
  const words = ['unpack', '--image', layout.path, target];
  const { status, stderr } = spawnSync(
    'setpriv',
    ['--reuid', '65534', '--regid', '65534', '--clear-groups', command, ...words],
    { encoding: 'utf8' },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const tree = readTree(join(target, 'rootfs'));
  const note = 'user.rootlesscontainers=';
  expect(tree.get('a')).toMatchObject({
    mode: '0',
    owner: '65534:65534',
    xattrs: `${note}08051006`,
  });
  expect(tree.get('b')).toMatchObject({ mode: '444', xattrs: `${note}080510ffffffff0f` });
  expect(configOf(target).linux?.uidMappings).toEqual([{ containerID: 0, hostID: 65534, size: 1 }]);
});

test('a tar archive of a layout is read in place', () => {
  layout.finish(tagged(layout.image({ layers: [BASE] }), '1.0'));
  const path = join(home, 'layout.tar');
  expect(spawnSync('tar', ['-C', layout.path, '-cf', path, '.']).status).toBe(0);
  expect(scowBundle(['unpack', '--image', `${path}:1.0`, bundle()])).toMatchObject({ status: 0 });
  expect(readdirSync(join(bundle(), 'rootfs'))).toEqual(['etc']);
});

test('an existing empty folder becomes the bundle, also the current one', () => {
  layout.finish(layout.image({ layers: [BASE] }));
  mkdirSync(bundle());
  const args = ['unpack', '--image', '../layout', '.'];
  expect(scowBundle(args, { cwd: bundle() })).toMatchObject({ status: 0, stderr: '' });
  expect(readdirSync(bundle())).toEqual(['config.json', 'rootfs', 'scow.json']);
  const again = scowBundle(args, { cwd: bundle() });
  expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining('. is not empty') });
  expect(readdirSync(bundle())).toEqual(['config.json', 'rootfs', 'scow.json']);
});

test('a signal that the caller has us ignore does not stop the unpack', async () => {
  const args = [...bundlerCommand('bun'), 'unpack', '--image', large, '--json', bundle()];
  const child = spawn('nohup', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.on('data', () => child.kill('SIGHUP'));
  const [status] = await once(child, 'close');
  expect(status).toBe(0);
  expect(readdirSync(bundle())).toEqual(['config.json', 'rootfs', 'scow.json']);
});

test('a program that stops listening stops the unpack', async () => {
  const [command, ...first] = bundlerCommand('bun');
  const args = [...first, 'unpack', '--image', large, '--json', bundle()];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  const [status] = await once(child, 'close');
  expect(status).toBe(1);
  expect(readdirSync(home)).toEqual(['layout']);
});
