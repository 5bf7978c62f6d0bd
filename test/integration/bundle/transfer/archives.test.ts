import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { gzipSync } from 'node:zlib';
import { bundlerCommand } from '../../../helpers/bundler.ts';
import { digestOf, forPlatform, LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import { archive, directory, file, symlink, type TarFields } from '../../../helpers/tar.ts';
import {
  APP,
  at,
  blobOf,
  bundler,
  fails,
  image,
  ok,
  okIn,
  root,
  run,
  setUp,
  TEAM,
  TREE,
  tearDown,
} from './archives-support.ts';

/** save, load and import, with podman and skopeo on the other side */

beforeAll(setUp);
afterAll(tearDown);

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
  ['a text', Buffer.from('text\n'), /broken is no tar archive: it is too short$/m],
  ['a compressed text', gzipSync('text '.repeat(200)), /broken is no tar archive: at byte 0 /],
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
  expect(bundler(['save', '--json', 'app:1'], {}).stderr).toMatch(/--json: standard output is for/);
  const events = ok('save', '--json', '-o', at('events.tar'), 'app:1').trim().split('\n');
  expect(events.map((line) => JSON.parse(line).event)).toEqual(
    expect.arrayContaining(['begin', 'copied', 'end']),
  );
  expect(okIn({ store: 'events' }, 'load', '--json', '-i', at('events.tar'))).toContain(
    `{"event":"end","name":"${APP}"`,
  );
  const piped = Buffer.from(ok('save', 'app:1'), 'latin1');
  expect(okIn({ store: 'piped', input: piped }, 'load')).toBe(`${APP}\n`);
  const [command, ...first] = bundlerCommand('bun');
  const line = [command, ...first, '--store', at('store'), 'save', 'app:1'].join(' ');
  const terminal = spawnSync('script', ['-qec', line, '/dev/null'], { encoding: 'utf8' });
  expect(terminal.stdout).toMatch(/standard output is a terminal: name a file, or use a pipe/);
  expect(readdirSync(at()).filter((name) => name.includes('scow-'))).toEqual([]);
  expect(statSync(at('saved.tar')).mode & 0o777).toBe(0o666 & ~process.umask());
});
