import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { RuntimeConfig } from '../../../../schemas/runtime-config.ts';
import { scowBundle } from '../../../helpers/bundler.ts';
import { portable, runBundle } from '../../../helpers/container.ts';
import { home } from '../../../helpers/places/home-per-file.ts';
import { program } from '../../../helpers/program.ts';
import { cleanUp, type EditableConfig } from '../../../helpers/scow.ts';

/** Images that umoci, skopeo and buildah make; their bundles beside umoci's. */

let layout: string;
let count = 0;

beforeAll(() => {
  layout = join(home, 'layout');
  const seed = join(home, 'seed');
  run('umoci', 'init', '--layout', layout);
  run('umoci', 'new', '--image', `${layout}:empty`);
  run('umoci', 'unpack', '--image', `${layout}:empty`, seed);
  makeRootfs(join(seed, 'rootfs'));
  run('umoci', 'repack', '--image', `${layout}:base`, seed);
});
afterEach(cleanUp);

function run(command: string, ...args: string[]): string {
  return program(command, args, { CONTAINERS_STORAGE_CONF: join(home, 'storage.conf') }).trim();
}

function makeRootfs(rootfs: string): void {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp', 'srv'])
    mkdirSync(join(rootfs, name));
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
  copyFileSync(busybox ?? '/bin/busybox', join(rootfs, 'bin/busybox'));
  for (const applet of ['sh', 'id', 'echo', 'pwd'])
    symlinkSync('busybox', join(rootfs, 'bin', applet));
  symlinkSync('../srv/passwd', join(rootfs, 'etc/passwd'));
  writeFileSync(
    join(rootfs, 'srv/passwd'),
    'root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n',
  );
  writeFileSync(
    join(rootfs, 'etc/group'),
    'root:x:0:\nadm:x:4:root,app\napp:x:1001:\nextra:x:50:app\n',
  );
}

function bundleWith(tool: 'umoci' | 'scow', image: string, ...flags: string[]): string {
  const bundle = join(home, `bundle-${count++}`);
  if (tool === 'umoci') run('umoci', 'unpack', '--image', image, ...flags, bundle);
  else
    expect(scowBundle(['unpack', '--image', image, ...flags, bundle])).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
  return bundle;
}

function configOf(bundle: string): RuntimeConfig {
  return JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
}

/** Runs a bundle's own program under scow and its peers: what it prints, and no errors. */
function runsAlike(bundle: string, stdout: string): void {
  const done = { status: 0, stdout, stderr: '' };
  for (const runtime of ['bun', 'node', 'runc'] as const)
    expect({ runtime, ...runBundle(runtime, bundle) }).toMatchObject({ runtime, ...done });
  const config = configOf(bundle) as EditableConfig;
  portable(config);
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
  expect(runBundle('crun', bundle)).toMatchObject(done);
}

/** What two configurations of one image must agree in. */
function meaning({ process: program, annotations, mounts, root }: RuntimeConfig, base: string[]) {
  return {
    args: program?.args,
    cwd: program?.cwd,
    user: { ...program?.user, additionalGids: program?.user.additionalGids ?? [] },
    // umoci adds the home directory, which runtimes look up themselves.
    env: program?.env?.filter((variable) => !variable.startsWith('HOME=')).sort(),
    // umoci writes those that the image does not have as empty ones.
    annotations: Object.fromEntries(Object.entries(annotations ?? {}).filter(([, value]) => value)),
    volumes: mounts
      ?.filter(({ destination }) => !base.includes(destination))
      .map((mount) => ({
        ...mount,
        source: '',
        // What umoci leaves to the runtime.
        options: mount.options?.filter((option) => !/^(mode|uid|gid)=/.test(option)),
      }))
      // umoci has them in any order.
      .sort((a, b) => a.destination.localeCompare(b.destination)),
    noNewPrivileges: program?.noNewPrivileges,
    bounding: program?.capabilities?.bounding,
    rlimits: program?.rlimits,
    root: { path: root?.path, readonly: root?.readonly ?? false },
  };
}

const BASE_MOUNTS = [
  '/proc',
  '/dev',
  '/dev/pts',
  '/dev/shm',
  '/dev/mqueue',
  '/sys',
  '/sys/fs/cgroup',
];

test.each([
  ['nothing at all', []],
  ['a user by name', ['--config.user', 'app']],
  ['a user and a group by name', ['--config.user', 'app:adm']],
  ['numbers', ['--config.user', '1000:50']],
  ['a number that nobody has', ['--config.user', '4242']],
  ['a program', ['--config.entrypoint', '/bin/sh', '--config.cmd', '-c', '--config.cmd', 'id']],
  ['variables', ['--config.env', 'PATH=/bin', '--config.env', 'X=a=b c', '--config.env', 'E=']],
  [
    'the rest',
    [
      ...['--config.workingdir', '/srv', '--config.volume', '/data', '--config.volume', '/a/b'],
      ...['--config.exposedports', '80/tcp', '--config.stopsignal', 'SIGQUIT'],
      ...['--config.label', 'a=b', '--author', 'me', '--created', '2020-01-02T03:04:05.006Z'],
    ],
  ],
])('an image that sets %s means the same to umoci', (_, flags) => {
  const image = `${layout}:test-${count++}`;
  run(
    'umoci',
    'config',
    '--image',
    `${layout}:base`,
    '--tag',
    image.slice(layout.length + 1),
    ...flags,
  );
  const expected = configOf(bundleWith('umoci', image));
  const actual = configOf(bundleWith('scow', image));
  expect(meaning(actual, BASE_MOUNTS)).toEqual(meaning(expected, BASE_MOUNTS));
});

test('a bundle runs under every runtime as the image says', () => {
  const flags = ['--config.user', 'app', '--config.env', 'X=1', '--config.workingdir', '/srv'];
  const program = ['/bin/sh', '-c', 'id; echo $X; pwd'].flatMap((word) => ['--config.cmd', word]);
  run('umoci', 'config', '--image', `${layout}:base`, '--tag', 'runs', ...flags, ...program);
  runsAlike(
    bundleWith('scow', `${layout}:runs`),
    'uid=1000(app) gid=1001(app) groups=4(adm),50(extra)\n1\n/srv\n',
  );
});

test('layouts and archives of skopeo are read, with a tag, without one, and with many', () => {
  run('umoci', 'config', '--image', `${layout}:base`, '--tag', 'skopeo', '--config.cmd', 'skopeo');
  const source = `oci:${layout}:skopeo`;
  const argsOf = (image: string) => configOf(bundleWith('scow', image)).process?.args;
  run('skopeo', 'copy', source, `oci:${home}/plain`);
  expect(argsOf(`${home}/plain`)).toEqual(['skopeo']);
  run('skopeo', 'copy', source, `oci:${home}/tagged:docker.io/library/thing:1.0`);
  expect(argsOf(`${home}/tagged:docker.io/library/thing:1.0`)).toEqual(['skopeo']);
  run('skopeo', 'copy', source, `oci-archive:${home}/archive.tar:v1`);
  expect(argsOf(`${home}/archive.tar:v1`)).toEqual(['skopeo']);
  const zstd = ['--dest-compress-format', 'zstd', '--dest-compress'];
  run('skopeo', 'copy', ...zstd, `oci:${layout}:base`, `oci:${home}/zstd:v1`);
  expect(
    readFileSync(join(bundleWith('scow', `${home}/zstd:v1`), 'rootfs/srv/passwd'), 'utf8'),
  ).toMatch(/^root:x:0:0/);
});

test('what skopeo makes for Docker is no layout, but the name that is told unpacks it', () => {
  const path = join(home, 'docker.tar');
  run('skopeo', 'copy', `oci:${layout}:base`, `docker-archive:${path}:thing:1.0`);
  const refused = scowBundle(['unpack', '--image', path, join(home, 'never')]);
  expect(refused).toMatchObject({ status: 1 });
  const advice = / which (docker-archive:\S+) names$/m.exec(refused.stderr)?.[1] ?? '';
  expect(configOf(bundleWith('scow', advice)).root?.path).toBe('rootfs');
});

test('what buildah commits is unpacked and runs, in OCI form and in that of Docker', () => {
  const storage = `driver = "vfs"\ngraphroot = "${home}/graph"\nrunroot = "${home}/run"\n`;
  writeFileSync(join(home, 'storage.conf'), `[storage]\n${storage}`);
  const lower = run('buildah', 'from', 'scratch');
  run('buildah', 'copy', lower, join(home, 'seed/rootfs'), '/');
  const upper = run('buildah', 'from', run('buildah', 'commit', '--quiet', lower));
  run('buildah', 'copy', upper, join(home, 'storage.conf'), '/etc/storage.conf');
  const tree = run('buildah', 'mount', upper);
  rmSync(join(tree, 'bin/pwd'));
  rmSync(join(tree, 'srv'), { recursive: true });
  const settings = ['--entrypoint', '["/bin/busybox"]', '--cmd', 'ls / /bin /etc'];
  run('buildah', 'config', ...settings, '--user', '5:6', '--port', '80', '--volume', '/v', upper);
  for (const format of ['oci', 'docker']) {
    const target = join(home, `buildah-${format}`);
    run('buildah', 'commit', '--format', format, upper, `oci:${target}:v1`);
    const bundle = bundleWith('scow', `${target}:v1`);
    expect(readFileSync(join(bundle, 'rootfs/etc/storage.conf'), 'utf8')).toContain('vfs');
    expect(configOf(bundle)).toMatchObject({
      process: { args: ['/bin/busybox', 'ls', '/', '/bin', '/etc'], user: { uid: 5, gid: 6 } },
      annotations: { 'org.opencontainers.image.exposedPorts': '80' },
    });
    runsAlike(
      bundle,
      [
        ...['/:', 'bin', 'dev', 'etc', 'proc', 'sys', 'tmp', 'v', ''],
        ...[
          '/bin:',
          'busybox',
          'echo',
          'id',
          'sh',
          '',
          '/etc:',
          'group',
          'passwd',
          'storage.conf',
          '',
        ],
      ].join('\n'),
    );
  }
  run('buildah', 'rm', lower, upper);
});
