import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageConfig, Index, Manifest } from '../../../schemas/image.ts';
import { bundlerCommand, scowBundle, startBundler } from '../../helpers/bundler.ts';
import { CHANGES, changeTree, lowerLayers } from '../../helpers/change-tree.ts';
import { LayoutBuilder, tagged } from '../../helpers/layout.ts';
import { makeNastyTree } from '../../helpers/nasty-tree.ts';
import { reachableBuild } from '../../helpers/reachable-build.ts';
import { cleanUp, type Engine, eventually, newId, rootOf, scow } from '../../helpers/scow.ts';
import { archive, directory, file, symlink } from '../../helpers/tar.ts';
import { differences, readTree } from '../../helpers/tree.ts';
import { runBundle } from '../container/support.ts';

let home: string;
let base: string;
let count = 0;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'scow-commit-'));
  // Overlays want an upper directory that is on none itself.
  execFileSync('mount', ['-t', 'tmpfs', 'scow-test', home]);
  const tree = join(home, 'tree');
  mkdirSync(tree);
  makeNastyTree(tree);
  const first = execFileSync(
    'tar',
    ['-C', tree, '--format=pax', '--xattrs', '--xattrs-include=*', '--sort=name', '-c', '.'],
    {
      maxBuffer: 2 ** 26,
    },
  );
  const layout = new LayoutBuilder(join(home, 'base'));
  const config = {
    config: {
      Cmd: ['/bin/app'],
      Env: ['PATH=/bin', 'A=1'],
      Volumes: { '/var/run/volume': {} },
      Healthcheck: { Test: ['NONE'] },
    },
    history: [{ created_by: 'first' }, { created_by: 'env', empty_layer: true }],
  };
  base = `${layout.finish(tagged(layout.image({ layers: [first, ...lowerLayers()], config: { ...config } }), 'v1'))}:v1`;
  ok('copy', `oci:${base}`, 'base:1');
});
afterEach(cleanUp);
afterAll(() => {
  execFileSync('umount', ['-l', home]);
  rmSync(home, { recursive: true });
});

function bundler(engine: Engine, ...args: string[]) {
  return scowBundle(['--store', join(home, 'store'), ...args], { engine });
}

function ok(...args: string[]): string {
  const { status, stdout, stderr } = bundler('bun', ...args);
  if (status !== 0) throw new Error(`scow-bundle ${args.join(' ')}: ${stderr}`);
  return stdout;
}

function scowBundleOk(engine: Engine, env: NodeJS.ProcessEnv, ...args: string[]): void {
  const [command, ...first] = bundlerCommand(engine);
  execFileSync(command, [...first, '--store', join(home, 'store'), ...args], {
    env: { ...process.env, ...env },
  });
}

function okBytes(...args: string[]): Buffer {
  const [command, ...first] = bundlerCommand('bun');
  return execFileSync(command, [...first, '--store', join(home, 'store'), ...args], {
    maxBuffer: 2 ** 26,
  });
}

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Makes a bundle, with something mounted in it. */
function makeBundle(how: 'unpack' | 'create' | 'create --copy', image = 'base:1'): string {
  const bundle = join(home, `bundle-${count++}`);
  if (how === 'unpack') ok('unpack', '--image', base, bundle);
  else ok(...how.split(' '), '--quiet', image, bundle);
  const path = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  config.mounts.push({ destination: '/mnt/made/for/mount', type: 'tmpfs', source: 'tmpfs' });
  writeFileSync(path, JSON.stringify(config));
  return bundle;
}

function readImage(layout: string, tag: string): { manifest: Manifest; config: ImageConfig } {
  const blob = (digest: string) =>
    JSON.parse(readFileSync(join(layout, 'blobs', ...digest.split(':')), 'utf8'));
  const index: Index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
  const found = index.manifests.find(({ annotations }) =>
    Object.values(annotations ?? {}).includes(tag),
  );
  const manifest: Manifest = blob(found?.digest as string);
  return { manifest, config: blob(manifest.config.digest) };
}

const LETTERS = { A: 'added', C: 'changed', D: 'deleted' } as const;
/** In a tree of its own a file that changed has all its names. */
const NAMES = [...CHANGES, ['C', 'z-link']];

describe.each(['unpack', 'create', 'create --copy'] as const)('a bundle of %s', (how) => {
  const expected = (how === 'create' ? CHANGES : NAMES)
    .map(([kind, path]) => ({ kind: LETTERS[kind as 'A'], path: `/${path}` }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));

  test('tells its changes, and becomes an image in which everybody sees them', () => {
    const bundle = makeBundle(how);
    const rootfs = join(bundle, 'rootfs');
    expect(ok('diff', bundle)).toBe('');
    changeTree(rootfs);
    expect(JSON.parse(ok('diff', '--format', 'json', bundle))).toEqual(expected);
    const printed = ok('diff', bundle);
    expect(printed).toBe(
      expected
        .map(({ kind, path }) => `${kind.charAt(0).toUpperCase()} ${path}\n`)
        .join('')
        .replaceAll('A /', 'A /'),
    );
    const layout = join(home, `layout-${count++}`);
    ok('commit', bundle, `oci:${layout}:v2`);
    ok('commit', '--compress', 'zstd', bundle, `oci:${layout}:zstd`);
    ok('commit', '--quiet', '--author', 'me', '--message', 'what', bundle, 'new:2');
    for (const path of ['mnt/made', 'var/run/volume'])
      rmSync(join(rootfs, path), { recursive: true });
    const seen = readTree(rootfs);
    // The times of directories that only mounts were made in are no change.
    const untouched = ['mnt', 'var/run'];
    const compare = (tree: string) =>
      differences(seen, readTree(tree)).filter(
        (line) => !untouched.some((path) => line.startsWith(`${path}: mtime`)),
      );
    const unpacked = join(home, `out-${count++}`);
    ok('unpack', '--image', `${layout}:zstd`, `${unpacked}-scow`);
    expect(compare(`${unpacked}-scow/rootfs`)).toEqual([]);
    run('umoci', 'unpack', '--image', `${layout}:v2`, `${unpacked}-umoci`);
    expect(compare(`${unpacked}-umoci/rootfs`)).toEqual([]);
    ok('create', '--quiet', 'new:2', `${unpacked}-new`);
    expect(compare(`${unpacked}-new/rootfs`)).toEqual([]);
    ok('export', '-o', `${unpacked}.tar`, bundle);
    mkdirSync(unpacked);
    run('tar', '-C', unpacked, '--xattrs', '--xattrs-include=*', '-xf', `${unpacked}.tar`);
    expect(differences(seen, readTree(unpacked))).toEqual([]);
  });
});

/** An image with a shell, in which a container can change something. */
function makeShellImage(): void {
  const layout = new LayoutBuilder(join(home, 'shell'));
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
  const tree = archive(
    ...['bin', 'etc', 'data'].map((name) => directory(name)),
    file('bin/sh', readFileSync(busybox ?? ''), { mode: 0o755 }),
    file('etc/keep', 'k'),
    file('etc/resolv.conf', 'image'),
    symlink('var', 'data'),
  );
  const config = { config: { Cmd: ['/bin/sh'], Volumes: { '/var/volume': {} } } };
  ok('load', '-i', layout.finish(tagged(layout.image({ layers: [tree], config }), 'shell')));
}

test('a container that ran leaves its own changes, and nothing of how it was run', () => {
  makeShellImage();
  const bundle = makeBundle('create', 'shell');
  const path = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(join(home, 'resolv.conf'), 'host');
  config.mounts.push(
    ...['/etc/resolv.conf', '/etc/hosts'].map((destination) => ({
      destination,
      type: 'bind',
      source: join(home, 'resolv.conf'),
      options: ['bind'],
    })),
  );
  const script = 'echo new > /etc/new; rm /etc/keep; echo x > /var/volume/x; echo y > /dev/shm/y';
  config.process.args = ['/bin/sh', '-c', script];
  writeFileSync(path, JSON.stringify(config));
  expect(runBundle('bun', bundle)).toMatchObject({ status: 0, stderr: '' });
  expect(readdirSync(join(bundle, 'rootfs'))).toEqual(expect.arrayContaining(['dev', 'proc']));
  expect(ok('diff', bundle)).toBe('C /etc\nD /etc/keep\nA /etc/new\n');
  const env = { SOURCE_DATE_EPOCH: '1700000000' };
  const layout = join(home, `layout-${count++}`);
  for (const engine of ['bun', 'node'] as const)
    for (const tag of ['1', '2'])
      scowBundleOk(
        engine,
        env,
        'commit',
        '--compress',
        'none',
        bundle,
        `oci:${layout}:${engine}${tag}`,
      );
  const images = ['bun1', 'bun2', 'node1', 'node2'].map((tag) => readImage(layout, tag));
  // The same changes make the same image, by either engine.
  for (const image of images) expect(image).toEqual(images[0]);
  const [, layer] = images[0]?.manifest.layers ?? [];
  const listed = run(
    'tar',
    '-tvf',
    join(layout, 'blobs', ...(layer?.digest ?? '').split(':')),
    '--utc',
  );
  expect(listed.replaceAll(/ +/g, ' ')).toBe(
    [
      'drwxr-xr-x 0/0 0 2023-11-14 22:13 ./',
      'drwxr-xr-x 0/0 0 2023-11-14 22:13 etc/',
      '---------- 0/0 0 1970-01-01 00:00 etc/.wh.keep',
      '-rw-r--r-- 0/0 4 2023-11-14 22:13 etc/new',
      '',
    ].join('\n'),
  );
  const gzip = ['gzip1', 'gzip2'].map((tag) => {
    scowBundleOk('bun', env, 'commit', bundle, `oci:${layout}:${tag}`);
    return readImage(layout, tag).manifest;
  });
  expect(gzip[0]).toEqual(gzip[1]);
  ok('delete', bundle);
});

test('the configuration is changed by instructions; without changes of files there is no layer', () => {
  const bundle = makeBundle('create');
  const layout = join(home, `layout-${count++}`);
  const changes = ['CMD ["/new"]', 'ENV A=2 PATH=$PATH:/opt', 'LABEL l=1', 'EXPOSE 80', 'USER 7'];
  const flags = changes.flatMap((change) => ['--change', change]);
  const options = ['--author', 'me', '--message', 'why', '--quiet'];
  expect(ok('commit', ...flags, ...options, bundle, `oci:${layout}:v2`)).toBe('');
  const before = readImage(base.slice(0, -3), 'v1');
  const { manifest, config } = readImage(layout, 'v2');
  expect(manifest.layers).toEqual(before.manifest.layers);
  expect(config).toMatchObject({
    author: 'me',
    config: {
      ...before.config.config,
      Cmd: ['/new'],
      Env: ['PATH=/bin:/opt', 'A=2'],
      Labels: { l: '1' },
      ExposedPorts: { '80/tcp': {} },
      User: '7',
    },
    rootfs: before.config.rootfs,
    // Builders do not always tell of all layers: the new line must not be taken for one of them.
    history: [
      { created_by: 'first' },
      { created_by: 'env', empty_layer: true },
      {},
      {},
      { author: 'me', comment: 'why', empty_layer: true },
    ],
  });
  expect(config.history?.at(-1)?.created_by).toContain('--change "CMD [\\"/new\\"]"');
  expect(bundler('bun', 'commit', '--change', 'RUN ls', bundle, 'x').stderr).toMatch(
    /^scow-bundle: --change "RUN ls": want one of CMD, /,
  );
  ok('delete', bundle);
});

test('images are committed on top of each other, with layers and without any below', () => {
  const layout = new LayoutBuilder(join(home, 'nothing'));
  ok('load', '-i', layout.finish(tagged(layout.image(), 'nothing')));
  let image = 'nothing';
  for (const name of ['one', 'two', 'three']) {
    const bundle = join(home, `bundle-${count++}`);
    ok('create', '--quiet', image, bundle);
    writeFileSync(join(bundle, 'rootfs', name), name);
    if (name === 'three') rmSync(join(bundle, 'rootfs/one'));
    image = `stack:${name}`;
    ok('commit', '--compress', name === 'two' ? 'zstd' : 'gzip', bundle, image);
    ok('delete', bundle);
  }
  expect(execFileSync('tar', ['-t'], { input: okBytes('export', image), encoding: 'utf8' })).toBe(
    './\nthree\ntwo\n',
  );
  expect(JSON.parse(ok('history', '--format', 'json', image))).toHaveLength(3);
});

test('what buildah mounts of a commit is the same tree', () => {
  const bundle = makeBundle('create');
  changeTree(join(bundle, 'rootfs'));
  const layout = join(home, `layout-${count++}`);
  ok('commit', bundle, `oci:${layout}:v2`);
  const storage = `driver = "vfs"\ngraphroot = "${home}/graph"\nrunroot = "${home}/run"\n`;
  writeFileSync(join(home, 'storage.conf'), `[storage]\n${storage}`);
  process.env.CONTAINERS_STORAGE_CONF = join(home, 'storage.conf');
  run('skopeo', 'copy', `oci:${layout}:v2`, 'containers-storage:localhost/committed:v2');
  const container = run('buildah', 'from', 'localhost/committed:v2').trim();
  const tree = run('buildah', 'mount', container).trim();
  const out = join(home, `out-${count++}`);
  ok('unpack', '--image', `${layout}:v2`, out);
  // It has ideas of its own of the root, and of times before 1970.
  const found = differences(readTree(join(out, 'rootfs')), readTree(tree)).filter(
    (line) => !/^(\.: (mode|mtime)|\S*block\S*: mtime) is/.test(line),
  );
  run('buildah', 'rm', container);
  delete process.env.CONTAINERS_STORAGE_CONF;
  expect(found).toEqual([]);
  ok('delete', bundle);
});

test('containers stand still while their files are read, if that is wanted', () => {
  makeShellImage();
  const bundle = makeBundle('create', 'shell');
  const path = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  config.process.args = ['/bin/sh', '-c', 'while :; do echo x >> /log; done'];
  writeFileSync(path, JSON.stringify(config));
  const id = newId();
  expect(scow(['run', '--detach', '--bundle', bundle, id])).toMatchObject({ status: 0 });
  const root = ['--root', rootOf('scow')];
  const told = bundler('bun', 'commit', bundle, 'moving');
  if (told.status !== 0)
    expect(told.stderr).toMatch(/^scow-bundle: \/log changed while it was read: stop/);
  ok('commit', '--pause', ...root, bundle, 'still');
  expect(JSON.parse(scow(['state', id]).stdout)).toMatchObject({ status: 'running' });
  expect(bundler('bun', 'commit', '--pause', bundle, 'x').stderr).toMatch(
    /process \d+ has its root in .*, and is of no container that scow knows/,
  );
  scow(['delete', '--force', id]);
  ok('delete', bundle);
});

test('a value of config.json is traced to the image, a default or a flag', () => {
  ok(
    'config',
    '--tag',
    'traced',
    '--env',
    'B=2',
    '--user',
    '5',
    '--workdir',
    '/w',
    '--label',
    'a/b=c',
    'base:1',
  );
  const bundle = join(home, `bundle-${count++}`);
  ok('create', '--quiet', '--read-only', 'traced', bundle);
  const path = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  config.process.env.unshift('NEW=1');
  config.process.env[2] = 'A=changed';
  config.hostname = 'mine';
  writeFileSync(path, JSON.stringify(config));
  const origins: { pointer: string; source: string }[] = JSON.parse(
    ok('config', '--origin', '--format', 'json', bundle),
  );
  const sources = Object.fromEntries(origins.map(({ pointer, source }) => [pointer, source]));
  expect(sources).toMatchObject({
    '/process/args/0': "the image's Cmd[0]",
    '/process/env/0': 'a flag, or an edit',
    '/process/env/1': "the image's Env[0]",
    '/process/env/2': 'a flag, or an edit (the image\'s Env[1]: "A=1")',
    '/process/env/3': "the image's Env[2]",
    '/process/env/4': 'default',
    '/process/user/uid': 'the image\'s User "5"',
    '/process/cwd': "the image's WorkingDir",
    '/root/readonly': 'the flag --read-only, or an edit (default: false)',
    '/hostname': 'a flag, or an edit (default: "scow")',
    '/mounts/0/type': 'default',
    '/mounts/7/destination': 'the image\'s Volumes["/var/run/volume"]',
    '/annotations/a~1b': 'the image\'s Labels["a/b"]',
    '/annotations/org.opencontainers.image.os': "the image's os",
  });
  expect(ok('config', '--origin', bundle)).toMatch(/^POINTER +VALUE +SOURCE\n\/ociVersion +"1/);
  ok('delete', bundle);
});

test('what is no bundle, or has lost its image, is told', () => {
  const fails = (...args: string[]) => {
    const { status, stderr } = bundler('bun', ...args);
    expect({ args, status }).toEqual({ args, status: 1 });
    return stderr;
  };
  expect(fails('diff', home)).toMatch(/is no bundle that scow-bundle made: it has no scow\.json/);
  expect(fails('export', join(home, 'nothing-here'))).toMatch(/no image ".*nothing-here"/);
  const bundle = join(home, `bundle-${count++}`);
  const layout = join(home, 'to-be-lost');
  ok('commit', makeBundle('unpack'), `oci:${layout}:x`);
  ok('unpack', '--image', `${layout}:x`, bundle);
  rmSync(layout, { recursive: true });
  expect(fails('commit', bundle, 'x')).toMatch(/its image cannot be read: .*to-be-lost/);
  const exported = execFileSync('tar', ['-t'], { input: okBytes('export', bundle) });
  expect(exported.toString()).toMatch(/dir\.sibling/);
});

test('an ordinary user commits with the owners that files should have', () => {
  const own = join(home, 'ordinary');
  mkdirSync(own);
  const shadow = file('a', 'old', { uid: 5, gid: 6, mode: 0o640 });
  const layout = new LayoutBuilder(join(own, 'layout'));
  // Not even its owner may read it, which says nothing to root.
  const closed = file('closed', 'old', { uid: 5, mode: 0 });
  const device = { name: 'null', type: '3', major: 1, minor: 3, mode: 0o666 };
  layout.finish(
    layout.image({ layers: [archive(shadow, file('b'), file('c', 'c'), device, closed)] }),
  );
  execFileSync('chown', ['-R', '65534:65534', own]);
  chmodSync(home, 0o755);
  const words = [join(reachableBuild(home), 'scow-bundle'), '--store', join(own, 'store')];
  const asUser = (...args: string[]) =>
    run('setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--', ...args);
  const bundle = join(own, 'bundle');
  asUser(...words, 'unpack', '--image', layout.path, bundle);
  expect(asUser(...words, 'diff', bundle)).toBe('');
  const script =
    'cd "$1" && echo new > a && rm b && echo d > d && chmod 600 c && chmod 600 closed && echo 1 > closed && chmod 0 closed';
  asUser('sh', '-c', script, 'sh', join(bundle, 'rootfs'));
  expect(asUser(...words, 'diff', bundle)).toBe('C /a\nD /b\nC /c\nC /closed\nA /d\n');
  asUser(...words, 'commit', '--compress', 'none', bundle, `oci:${own}/out:v2`);
  const [, layer] = readImage(join(own, 'out'), 'v2').manifest.layers;
  const tar = join(own, 'out/blobs', ...(layer?.digest ?? '').split(':'));
  const listed = run('tar', '-tvf', tar, '--xattrs').split('\n');
  expect(listed.map((line) => line.replace(/ +\d+ \d{4}-.* /, ' ').replace(/ +/, ' '))).toEqual([
    'drwxr-xr-x 0/0 ./',
    '---------- 0/0 .wh.b',
    '-rw-r----- 5/6 a',
    '-rw------- 0/0 c',
    '---------- 5/0 closed',
    '-rw-r--r-- 0/0 d',
    '',
  ]);
  expect(readFileSync(tar).includes('rootlesscontainers')).toBe(false);
  asUser(...words, 'export', '-o', join(own, 'all.tar'), bundle);
  expect(run('tar', '-xOf', join(own, 'all.tar'), 'a', 'closed')).toBe('new\n1\n');
});

test('a commit that is stopped leaves nothing but its exit status', async () => {
  const bundle = makeBundle('create');
  writeFileSync(join(bundle, 'rootfs/large'), randomBytes(30_000_000));
  const layout = join(home, `layout-${count++}`);
  const words = ['--store', join(home, 'store'), 'commit', '--level', '9', bundle];
  const running = startBundler([...words, `oci:${layout}:v1`]);
  // The layer is being written, to a file without a name.
  const files = `/proc/${running.process.pid}/fd`;
  const isWriting = (fd: string) => {
    try {
      return /\.scow-\S+ \(deleted\)$/.test(readlinkSync(join(files, fd)));
    } catch {
      // It was closed meanwhile.
      return false;
    }
  };
  await eventually(() => readdirSync(files).some(isWriting));
  running.process.kill('SIGTERM');
  expect(await running.result).toEqual({
    status: 143,
    stdout: '',
    stderr: 'scow-bundle: stopped by SIGTERM\n',
  });
  expect(existsSync(layout)).toBe(false);
  ok('delete', bundle);
});
