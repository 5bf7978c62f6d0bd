import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { startBundler } from '../../../helpers/bundler.ts';
import { LayoutBuilder } from '../../../helpers/layout.ts';
import { reachableBuild } from '../../../helpers/reachable-build.ts';
import { cleanUp, eventually, newId, rootOf, scow } from '../../../helpers/scow.ts';
import { archive, file } from '../../../helpers/tar.ts';
import { readImage, Workshop } from '../workshop.ts';

/** Bundles become images: in which ways, and what goes wrong. */

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterEach(cleanUp);
afterAll(() => shop.close());

test('the configuration is changed by instructions; without changes of files there is no layer', () => {
  const bundle = shop.bundle('create');
  const layout = shop.next('layout');
  const changes = ['CMD ["/new"]', 'ENV A=2 PATH=$PATH:/opt', 'LABEL l=1', 'EXPOSE 80', 'USER 7'];
  const flags = changes.flatMap((change) => ['--change', change]);
  const options = ['--author', 'me', '--message', 'why', '--quiet'];
  expect(shop.ok('commit', ...flags, ...options, bundle, `oci:${layout}:v2`)).toBe('');
  const before = readImage(shop.base.slice(0, -3), 'v1');
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
  expect(shop.try('commit', '--change', 'RUN ls', bundle, 'x').stderr).toMatch(
    /^scow-bundle: --change "RUN ls": want one of CMD, /,
  );
  shop.ok('delete', bundle);
});

test('containers stand still while their files are read, if that is wanted', () => {
  shop.addShell();
  const bundle = shop.bundle('create', 'shell');
  const path = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  config.process.args = ['/bin/sh', '-c', 'while :; do echo x >> /log; done'];
  writeFileSync(path, JSON.stringify(config));
  const id = newId();
  expect(scow(['run', '--detach', '--bundle', bundle, id])).toMatchObject({ status: 0 });
  const root = ['--root', rootOf('scow')];
  const told = shop.try('commit', bundle, 'moving');
  if (told.status !== 0)
    expect(told.stderr).toMatch(/^scow-bundle: \/log changed while it was read: stop/);
  shop.ok('commit', '--pause', ...root, bundle, 'still');
  expect(JSON.parse(scow(['state', id]).stdout)).toMatchObject({ status: 'running' });
  expect(shop.try('commit', '--pause', bundle, 'x').stderr).toMatch(
    /process \d+ has its root in .*, and is of no container that scow knows/,
  );
  scow(['delete', '--force', id]);
  shop.ok('delete', bundle);
});

test('a value of config.json is traced to the image, a default or a flag', () => {
  shop.ok(
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
  const bundle = shop.next('bundle');
  shop.ok('create', '--quiet', '--read-only', 'traced', bundle);
  const path = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  config.process.env.unshift('NEW=1');
  config.process.env[2] = 'A=changed';
  config.hostname = 'mine';
  writeFileSync(path, JSON.stringify(config));
  const origins: { pointer: string; source: string }[] = JSON.parse(
    shop.ok('config', '--origin', '--format', 'json', bundle),
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
  expect(shop.ok('config', '--origin', bundle)).toMatch(
    /^POINTER +VALUE +SOURCE\n\/ociVersion +"1/,
  );
  shop.ok('delete', bundle);
});

test('what is no bundle, or has lost its image, is told', () => {
  const fails = (...args: string[]) => {
    const { status, stderr } = shop.try(...args);
    expect({ args, status }).toEqual({ args, status: 1 });
    return stderr;
  };
  expect(fails('diff', shop.home)).toMatch(
    /is no bundle that scow-bundle made: it has no scow\.json/,
  );
  expect(fails('export', join(shop.home, 'nothing-here'))).toMatch(/no image ".*nothing-here"/);
  const bundle = shop.next('bundle');
  const layout = join(shop.home, 'to-be-lost');
  shop.ok('commit', shop.bundle('unpack'), `oci:${layout}:x`);
  shop.ok('unpack', '--image', `${layout}:x`, bundle);
  rmSync(layout, { recursive: true });
  expect(fails('commit', bundle, 'x')).toMatch(/its image cannot be read: .*to-be-lost/);
  const exported = execFileSync('tar', ['-t'], {
    input: shop.okUnder('bun', {}, 'export', bundle),
  });
  expect(exported.toString()).toMatch(/dir\.sibling/);
});

test.each([
  ['of files of their own', [], 'unpack --image'],
  ['of a mount', ['unshare', '--user', '--map-root-user', '--mount'], 'create --rootless'],
])(
  'an ordinary user commits a bundle %s with the owners that files should have',
  (_, outer, make) => {
    const own = shop.next('ordinary');
    mkdirSync(own);
    const shadow = file('a', 'old', { uid: 5, gid: 6, mode: 0o640 });
    const layout = new LayoutBuilder(join(own, 'layout'));
    // Not even its owner may read it, which says nothing to root.
    const closed = file('closed', 'old', { uid: 5, mode: 0 });
    const device = { name: 'null', type: '3', major: 1, minor: 3, mode: 0o666 };
    layout.finish(
      layout.image({ layers: [archive(shadow, file('b'), file('c', 'c'), device, closed)] }),
    );
    const build = reachableBuild(own);
    execFileSync('chown', ['-R', '65534:65534', own]);
    chmodSync(shop.home, 0o755);
    const image = make.startsWith('create') ? `oci:${layout.path}` : layout.path;
    const script = `
    exec >&2
    scow() { "${build}/scow-bundle" --store store "$@"; }
    scow ${make} "${image}" bundle
    scow diff bundle > before
    cd bundle/rootfs
    echo new > a; rm b; echo d > d; chmod 600 c closed; echo 1 > closed; chmod 0 closed
    cd ../..
    scow diff bundle > after
    scow commit --compress none bundle oci:out:v2
    scow export -o all.tar bundle
    scow delete bundle`;
    const user = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--', ...outer];
    execFileSync('setpriv', [...user, 'sh', '-ec', script], { cwd: own, stdio: 'pipe' });
    expect(readFileSync(join(own, 'before'), 'utf8')).toBe('');
    expect(readFileSync(join(own, 'after'), 'utf8')).toBe('C /a\nD /b\nC /c\nC /closed\nA /d\n');
    const [, layer] = readImage(join(own, 'out'), 'v2').manifest.layers;
    const tar = join(own, 'out/blobs', ...(layer?.digest ?? '').split(':'));
    const listed = shop.run('tar', '-tvf', tar, '--xattrs').split('\n');
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
    expect(shop.run('tar', '-xOf', join(own, 'all.tar'), 'a', 'closed')).toBe('new\n1\n');
  },
);

test('a commit that is stopped leaves nothing but its exit status', async () => {
  const bundle = shop.bundle('create');
  writeFileSync(join(bundle, 'rootfs/large'), randomBytes(30_000_000));
  const layout = shop.next('layout');
  const words = ['--store', join(shop.home, 'store'), 'commit', '--level', '9', bundle];
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
  shop.ok('delete', bundle);
});

test.each(['docker-archive', 'oci-archive'])('a bundle of an image in a %s becomes one', (kind) => {
  const place = `${kind}:${shop.next('archive')}:base:1`;
  const bundle = shop.next('bundle');
  const layout = shop.next('layout');
  shop.ok('copy', 'base:1', place);
  shop.ok('create', '--quiet', place, bundle);
  writeFileSync(join(bundle, 'rootfs/added'), '');
  expect(shop.ok('diff', bundle)).toBe('A /added\n');
  shop.ok('commit', bundle, `oci:${layout}:v2`);
  const before = readImage(shop.base.slice(0, -3), 'v1').manifest.layers;
  expect(readImage(layout, 'v2').manifest.layers.slice(0, -1)).toEqual(before);
  shop.ok('delete', bundle);
});
