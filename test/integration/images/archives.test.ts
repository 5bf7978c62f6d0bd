import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ImageConfig, Index, Manifest } from '../../../schemas/image.ts';
import { bundlerCommand } from '../../helpers/bundler.ts';
import { digestOf, forPlatform, LayoutBuilder, tagged } from '../../helpers/layout.ts';
import type { Engine } from '../../helpers/scow.ts';
import { archive, directory, file, symlink, type TarFields } from '../../helpers/tar.ts';

/** save, load and import, with podman and skopeo on the other side; and config. */

let home: string;
const at = (...names: string[]) => join(home, ...names);
const TREE = archive(directory('etc'), file('etc/a', 'a'), file('b', 'b'));

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'scow-archives-'));
  const storage = `driver = "vfs"\ngraphroot = "${home}/graph"\nrunroot = "${home}/run"\n`;
  writeFileSync(at('storage.conf'), `[storage]\n${storage}`);
  writeFileSync(at('tree.tar'), TREE);
  ok('import', '--change', 'CMD ["/b"]', '--message', 'first', at('tree.tar'), 'app:1');
  ok('config', '--env', 'A=1', '--tag', 'registry.example.com/team/app:2', 'app:1');
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Options {
  readonly store?: string;
  readonly engine?: Engine;
  readonly input?: Buffer;
  readonly env?: NodeJS.ProcessEnv;
}

function bundler(
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

function ok(...args: string[]): string {
  return okIn({}, ...args);
}

function okIn(options: Options, ...args: string[]): string {
  const { status, stdout, stderr } = bundler(args, options);
  if (status !== 0) throw new Error(`scow-bundle ${args.join(' ')}: ${stderr}`);
  return stdout;
}

function fails(...args: string[]): string {
  const { status, stderr } = bundler(args, { store: 'failing' });
  expect({ args, status }).toEqual({ args, status: 1 });
  return stderr;
}

function run(command: string, ...args: string[]): string {
  const env = { ...process.env, CONTAINERS_STORAGE_CONF: at('storage.conf') };
  return execFileSync(command, args, { encoding: 'utf8', env, stdio: ['pipe', 'pipe', 'pipe'] });
}

const blobOf = (store: string, digest: string) =>
  readFileSync(at(store, 'blobs', ...digest.split(':')));

/** The digest that a name leads to. */
function root(store: string, name: string): string {
  const index: Index = JSON.parse(readFileSync(at(store, 'index.json'), 'utf8'));
  const found = index.manifests.find(
    ({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === name,
  );
  if (found === undefined) throw new Error(`${store} has no ${name}`);
  return found.digest;
}

/** What a store has under a name. */
function image(
  store: string,
  name: string,
): { digest: string; manifest: Manifest; config: ImageConfig } {
  const digest = root(store, name);
  const manifest: Manifest = JSON.parse(blobOf(store, digest).toString());
  const config: ImageConfig = JSON.parse(blobOf(store, manifest.config.digest).toString());
  return { digest, manifest, config };
}

const APP = 'localhost/app:1';
const TEAM = 'registry.example.com/team/app:2';

test('an archive is an image of one layer, which is the archive', () => {
  const { manifest, config } = image('store', APP);
  expect(config).toMatchObject({
    os: 'linux',
    config: { Cmd: ['/b'] },
    rootfs: { diff_ids: [digestOf(TREE)] },
    history: [{ created_by: 'scow-bundle import --change "CMD [\\"/b\\"]"', comment: 'first' }],
  });
  expect(manifest.layers[0]?.mediaType).toBe('application/vnd.oci.image.layer.v1.tar+gzip');
  const env = { SOURCE_DATE_EPOCH: '1700000000' };
  const flags = ['--compress', 'zstd', '--level', '10', '--platform', 'linux/arm64/v8'];
  const printed = okIn({ env, input: gzipSync(TREE) }, 'import', ...flags, '-', 'zstd');
  const zstd = image('store', 'localhost/zstd:latest');
  expect(printed).toBe(`${zstd.manifest.config.digest}\n`);
  expect(zstd.config).toMatchObject({
    created: '2023-11-14T22:13:20Z',
    architecture: 'arm64',
    variant: 'v8',
    rootfs: { diff_ids: [digestOf(TREE)] },
    history: [{ comment: 'Imported from standard input' }],
  });
  ok('unpack', '--image', `${at('store')}:localhost/zstd:latest`, at('zstd'));
  expect(readFileSync(at('zstd/rootfs/etc/a'), 'utf8')).toBe('a');
  // The same once more is the same image.
  okIn({ env, input: TREE, store: 'again' }, 'import', ...flags, '-', 'zstd');
  expect(image('again', 'localhost/zstd:latest').config.rootfs).toEqual(zstd.config.rootfs);
  expect(image('again', 'localhost/zstd:latest').manifest.layers).toEqual(zstd.manifest.layers);
});

test('under Node.js it is the same image, but for how it is compressed', () => {
  const env = { SOURCE_DATE_EPOCH: '1' };
  for (const engine of ['bun', 'node'] as const)
    okIn(
      { env, engine, store: `import-${engine}` },
      'import',
      '--compress',
      'none',
      at('tree.tar'),
      'x',
    );
  const [first, second] = (['bun', 'node'] as const).map((engine) =>
    image(`import-${engine}`, 'localhost/x:latest'),
  );
  expect(first).toEqual(second);
});

test.each([
  ['nothing', Buffer.alloc(0), /^scow-bundle: \S+ is empty: want a tar archive$/m],
  ['something else', Buffer.alloc(2000, 'x'), /at byte 0 of the archive: this is not a tar header/],
  ['a cut archive', TREE.subarray(0, 1600), /broken: the archive is truncated/],
  ['a cut gzip file', gzipSync(TREE).subarray(0, 60), /its gzip data is truncated/],
  ['bzip2', Buffer.from('BZh91AY'), /is compressed with bzip2: decompress it first/],
  [
    'records that lie',
    archive({ type: 'x', content: '999 path=x\n' } as TarFields, file('a')),
    /its extended header is damaged/,
  ],
])('%s is no archive to import', (_, bytes, message) => {
  writeFileSync(at('broken'), bytes);
  expect(fails('import', at('broken'), 'x')).toMatch(message);
  expect(
    existsSync(at('failing/index.json')) && readFileSync(at('failing/index.json'), 'utf8'),
  ).not.toMatch(/sha256/);
});

test('what an imported archive names outside of the root stays inside', () => {
  const names = archive(
    file('../../escaped', 'x'),
    symlink('link', '/tmp'),
    file('link/through', 'x'),
    file('/absolute', 'x'),
  );
  writeFileSync(at('hostile.tar'), names);
  ok('import', at('hostile.tar'), 'hostile');
  ok('unpack', '--image', `${at('store')}:localhost/hostile:latest`, at('hostile'));
  expect(readdirSync(at('hostile/rootfs')).sort()).toEqual(['absolute', 'escaped', 'link', 'tmp']);
  expect(existsSync(at('escaped'))).toBe(false);
});

test('what is saved is loaded by podman and skopeo, and by ourselves with its digests', () => {
  ok('tag', 'app:1', 'app:one');
  ok('save', '--output', at('saved.tar'), 'app:1', 'app:one', TEAM);
  const names = execFileSync('tar', ['-tf', at('saved.tar')], { encoding: 'utf8' });
  expect(names).toMatch(
    /^(blobs\/sha256\/[0-9a-f]{64}\n){5}manifest\.json\nindex\.json\noci-layout\n$/,
  );
  ok('save', '-o', at('saved-again.tar'), 'app:1', 'app:one', TEAM);
  expect(readFileSync(at('saved-again.tar')).equals(readFileSync(at('saved.tar')))).toBe(true);

  run('podman', 'load', '--input', at('saved.tar'));
  const format = ['--format', '{{.Id}} {{.RepoTags}} {{.Config.Cmd}} {{.Config.Env}}'];
  const id = (name: string) => image('store', name).manifest.config.digest.slice(7);
  expect(run('podman', 'inspect', ...format, 'app:1')).toMatch(
    new RegExp(`^${id(APP)} \\[localhost/app:\\w+ localhost/app:\\w+\\] \\[/b\\] \\[\\]\n$`),
  );
  expect(run('podman', 'inspect', ...format, TEAM)).toBe(`${id(TEAM)} [${TEAM}] [/b] [A=1]\n`);
  run('skopeo', 'copy', `docker-archive:${at('saved.tar')}:${TEAM}`, `oci:${at('skopeo')}:x`);
  run('skopeo', 'copy', `oci-archive:${at('saved.tar')}:${APP}`, `oci:${at('skopeo')}:y`);

  expect(okIn({ store: 'loaded' }, 'load', '-i', at('saved.tar'))).toBe(
    `${APP}\nlocalhost/app:one\n${TEAM}\n`,
  );
  for (const name of [APP, 'localhost/app:one', TEAM])
    expect(image('loaded', name).digest).toBe(image('store', name).digest);
});

test('what podman and skopeo save is loaded, through pipes and compressed too', () => {
  run('podman', 'load', '--input', at('saved.tar'));
  run('podman', 'save', '--multi-image-archive', '--output', at('podman.tar'), 'app:1', TEAM);
  run('podman', 'save', '--format', 'oci-archive', '--output', at('podman-oci.tar'), TEAM);
  const loaded = (store: string, input: Buffer) => okIn({ store, input }, 'load');
  expect(
    loaded('podman', gzipSync(readFileSync(at('podman.tar'))))
      .split('\n')
      .sort(),
  ).toEqual(['', APP, TEAM]);
  expect(image('podman', APP).config).toEqual(image('store', APP).config);
  expect(loaded('podman-oci', readFileSync(at('podman-oci.tar')))).toBe(`${TEAM}\n`);
  expect(image('podman-oci', TEAM).config).toEqual(image('store', TEAM).config);
  run(
    'skopeo',
    'copy',
    `oci:${at('store')}:${TEAM}`,
    `docker-archive:${at('skopeo.tar')}:debian:12`,
  );
  expect(okIn({ store: 'skopeo-store' }, 'load', '--input', at('skopeo.tar'))).toBe(
    'docker.io/library/debian:12\n',
  );
  expect(image('skopeo-store', 'docker.io/library/debian:12').config).toEqual(
    image('store', TEAM).config,
  );
});

test('archives of older Dockers are loaded: a folder a layer, links between them, no names', () => {
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      rootfs: { type: 'layers', diff_ids: [digestOf(TREE), digestOf(TREE)] },
    }),
  );
  const manifest = [
    { Config: 'config.json', RepoTags: null, Layers: ['one/layer.tar', 'two/layer.tar'] },
  ];
  const older = archive(
    directory('one'),
    file('one/layer.tar', TREE),
    symlink('two/layer.tar', '../one/layer.tar'),
    file('config.json', config),
    file('manifest.json', JSON.stringify(manifest)),
  );
  const digest = okIn({ store: 'older', input: older }, 'load').trim();
  expect(JSON.parse(blobOf('older', digest).toString()).config.digest).toBe(digestOf(config));
});

test('an index is kept whole where all of it is there, else the image for this machine is taken', () => {
  const layout = new LayoutBuilder(at('several'));
  const images = ['amd64', 'arm64'].map((architecture) =>
    forPlatform(
      layout.image({ layers: [TREE], config: { architecture } }),
      `linux/${architecture}`,
    ),
  );
  const index = layout.index(...images);
  layout.finish(tagged(index, 'several'));
  expect(okIn({ store: 'whole' }, 'load', '-i', at('several'))).toBe('localhost/several:latest\n');
  expect(root('whole', 'localhost/several:latest')).toBe(index.digest);
  okIn({ store: 'whole' }, 'save', '--all', '-o', at('whole.tar'), 'several');
  expect(okIn({ store: 'whole-again' }, 'load', '-i', at('whole.tar'))).toBe(
    'localhost/several:latest\n',
  );
  expect(root('whole-again', 'localhost/several:latest')).toBe(index.digest);
  rmSync(layout.file(images[1]?.digest ?? ''));
  okIn({ store: 'part' }, 'load', '-i', at('several'));
  expect(root('part', 'localhost/several:latest')).toBe(images[0]?.digest);
});

test('what is no archive of images is told, and nothing stays of it', () => {
  const broken = (edit: (path: string) => void) => {
    writeFileSync(at('broken.tar'), readFileSync(at('saved.tar')));
    edit(at('broken.tar'));
    return fails('load', '-i', at('broken.tar'));
  };
  expect(broken((path) => truncateSync(path, 1600))).toMatch(
    /broken.tar is not an image layout: the tar archive is cut off/,
  );
  expect(broken((path) => writeFileSync(path, 'x'))).toMatch(/not a tar archive: it is too short/);
  expect(broken((path) => writeFileSync(path, gzipSync('x')))).toMatch(
    /broken.tar .*not a tar archive/,
  );
  expect(broken((path) => writeFileSync(path, TREE))).toMatch(
    /it looks like a root filesystem|is not an image layout/,
  );
  const corrupt = readFileSync(at('saved.tar'));
  // A byte in the content of the first blob.
  corrupt[520] = (corrupt[520] as number) ^ 1;
  expect(broken((path) => writeFileSync(path, corrupt))).toMatch(
    /is not what this digest names|is not valid JSON|not JSON/,
  );
  const entries = (manifest: unknown) =>
    archive(file('manifest.json', JSON.stringify(manifest)), file('c', '{}'));
  for (const [manifest, message] of [
    [{}, /want a list of objects with Config, RepoTags and Layers/],
    [
      [{ Config: '../../etc/passwd', Layers: [] }],
      /is incomplete: \.\.\/\.\.\/etc\/passwd is missing/,
    ],
    [[{ Config: 'c', Layers: ['/etc/passwd'] }], /c: /],
    [[{ Config: 'c', RepoTags: ['../../x:1'], Layers: [] }], /is not an image name/],
    [[], /holds no image/],
  ] as const)
    expect(broken((path) => writeFileSync(path, entries(manifest)))).toMatch(message);
  expect(fails('load', '-i', at('nowhere'))).toMatch(/cannot read \S+nowhere: no such file/);
  expect(fails('save', '-o', at('x.tar'), 'nothing')).toMatch(/no image "nothing"/);
  expect(existsSync(at('x.tar'))).toBe(false);
});

test('files appear when they are complete; a full disk leaves nothing, and nothing goes to a terminal', () => {
  const { status, stderr } = bundler(['save', '-o', '/dev/full', 'app:1'], {});
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: 'scow-bundle: cannot write to /dev/full: no space left on device (ENOSPC)\n',
  });
  expect(bundler(['save', '-o', at('no/such.tar'), 'app:1'], {}).stderr).toMatch(
    /cannot write to .*such\.tar: no such file/,
  );
  const piped = Buffer.from(ok('save', 'app:1'), 'latin1');
  expect(okIn({ store: 'piped', input: piped }, 'load')).toBe(`${APP}\n`);
  const [command, ...first] = bundlerCommand('bun');
  const line = [command, ...first, '--store', at('store'), 'save', 'app:1'].join(' ');
  const terminal = spawnSync('script', ['-qec', line, '/dev/null'], { encoding: 'utf8' });
  expect(terminal.stdout).toMatch(
    /standard output is a terminal: name a file with -o, or use a pipe/,
  );
  expect(readdirSync(home).filter((name) => name.includes('scow-'))).toEqual([]);
  expect(statSync(at('saved.tar')).mode & 0o777).toBe(0o666 & ~process.umask());
});

describe('config', () => {
  test('edits an image, which keeps its name, and what is not understood here', () => {
    const layout = new LayoutBuilder(at('edit'));
    const config = {
      config: {
        Env: ['A=1', 'B=2'],
        Cmd: ['old'],
        Labels: { l: '1' },
        Healthcheck: { Test: ['NONE'] },
      },
      history: [{ created_by: 'base' }],
      'os.version': '7',
    };
    const annotations = { keep: 'me' };
    const base = layout.image({ layers: [TREE], config, manifest: { annotations } });
    layout.finish(tagged(base, 'docker.io/library/edit:1'));
    ok('load', '-i', at('edit'));
    const flags = [
      ...['--entrypoint', '/e', '--cmd', 'a', '--cmd=-b', '--env', 'B=3', '--env', 'C=4'],
      ...[
        '--label',
        'm=2',
        '--volume',
        '/v/',
        '--expose',
        '80',
        '--user',
        '5:6',
        '--workdir',
        '/w',
      ],
      ...['--stop-signal', 'SIGINT', '--annotation', 'new=1', '--author', 'me', '--message', 'why'],
      ...['--created', '2020-01-02T03:04:05Z', '--variant', 'v2', '--change', 'ENV D=$B'],
    ];
    ok('config', ...flags, 'edit:1');
    const edited = image('store', 'docker.io/library/edit:1');
    expect(edited.config).toEqual({
      architecture: 'amd64',
      os: 'linux',
      'os.version': '7',
      variant: 'v2',
      created: '2020-01-02T03:04:05Z',
      author: 'me',
      config: {
        ...config.config,
        Entrypoint: ['/e'],
        Cmd: ['a', '-b'],
        Env: ['A=1', 'B=3', 'C=4', 'D=3'],
        Labels: { l: '1', m: '2' },
        Volumes: { '/v/': {} },
        ExposedPorts: { '80/tcp': {} },
        User: '5:6',
        WorkingDir: '/w',
        StopSignal: 'SIGINT',
      },
      rootfs: { type: 'layers', diff_ids: [digestOf(TREE)] },
      history: [
        { created_by: 'base' },
        expect.objectContaining({ author: 'me', comment: 'why', empty_layer: true }),
      ],
    });
    expect(edited.manifest).toMatchObject({ annotations: { keep: 'me', new: '1' } });
    ok(
      'config',
      '--clear',
      'env',
      '--clear',
      'annotation',
      '--no-history',
      '--tag',
      'bare',
      'edit:1',
    );
    const bare = image('store', 'localhost/bare:latest');
    expect(bare.config.config?.Env).toBeUndefined();
    expect(bare.config.history).toHaveLength(2);
    expect(bare.manifest.annotations).toBeUndefined();
    ok('unpack', '--image', `${at('store')}:localhost/bare:latest`, at('bare'));
  });

  test.each([
    [['--clear', 'nothing'], '--clear "nothing": want one of annotation, cmd, entrypoint,'],
    [['--env', 'A'], '--env "A": want NAME=VALUE'],
    [['--expose', 'x'], '--expose has "x": want PORT[-PORT][/PROTOCOL]'],
    [['--volume', 'x'], '--volume "x": want an absolute path'],
    [['--created', 'today'], '--created "today": want a time such as'],
    [['--change', 'RUN x'], '--change "RUN x": want one of CMD'],
    [['--platform', 'linux/s390x'], 'has no image for linux/s390x'],
  ])('%j is refused', (flags, message) => {
    const { status, stderr } = bundler(['config', ...flags, 'app:1'], {});
    expect(status).toBe(1);
    expect(stderr).toContain(message);
  });

  test('an image that is named by its ID needs a name for the new one', () => {
    const id = image('store', TEAM).manifest.config.digest.slice(7, 19);
    expect(bundler(['config', '--env', 'A=2', id], {}).stderr).toMatch(/name it with --tag/);
  });
});
