import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Descriptor, Index, Manifest } from '../../../schemas/image.ts';
import {
  parseJson,
  type Violation,
  validateDescriptor,
  validateImageConfig,
  validateIndex,
  validateLayout,
  validateManifest,
  withoutNulls,
} from '../../../schemas/validate-image.ts';
import { withValue } from '../../helpers/json-edit.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

const DESCRIPTOR = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  digest: DIGEST,
  size: 1234,
  urls: ['https://example.com/a?b=c'],
  annotations: { 'org.example.note': '' },
  data: 'e30=',
  artifactType: 'application/vnd.example.sbom.v1',
  platform: {
    architecture: 'arm',
    os: 'linux',
    variant: 'v7',
    'os.version': '10.0',
    'os.features': ['win32k'],
  },
};

const MANIFEST = {
  schemaVersion: 2,
  mediaType: MANIFEST_TYPE,
  artifactType: 'application/vnd.example+type',
  config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: DIGEST, size: 2 },
  layers: [DESCRIPTOR],
  subject: { mediaType: MANIFEST_TYPE, digest: DIGEST, size: 7 },
  annotations: { a: 'b' },
};

const INDEX = {
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [{ ...DESCRIPTOR, mediaType: MANIFEST_TYPE }],
  annotations: { a: 'b' },
};

const CONFIG = {
  created: '2024-05-01T12:00:00.123456789+02:00',
  author: 'A. Author',
  architecture: 'amd64',
  os: 'linux',
  config: {
    User: '1000:1000',
    ExposedPorts: { '80/tcp': {} },
    Env: ['PATH=/bin'],
    Entrypoint: ['/entry'],
    Cmd: ['now'],
    Volumes: { '/data': {} },
    WorkingDir: '/srv',
    Labels: { 'org.example.label': 'x' },
    StopSignal: 'SIGRTMIN+3',
    ArgsEscaped: false,
    Healthcheck: { Test: ['NONE'] },
    OnBuild: null,
  },
  rootfs: { type: 'layers', diff_ids: [DIGEST] },
  history: [{ created: '2024-05-01T12:00:00Z', created_by: 'tar', empty_layer: false }],
};

const DIGEST_WORDS = 'a digest such as "sha256:" and 64 lower-case hexadecimal digits';
const MEDIA_TYPE_WORDS =
  'a media type (RFC 6838) such as "application/vnd.oci.image.manifest.v1+json"';
const TIME_WORDS = 'a date and time (RFC 3339) such as "2024-05-01T12:00:00Z"';
const DESCRIPTOR_WORDS = 'a descriptor: an object with mediaType, digest and size';
const SIZE_WORDS = 'an integer from 0 to 9007199254740991';

describe('images that other tools make are valid', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'scow-schemas-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function run(command: string, ...options: readonly string[]): string {
    return execFileSync(command, options, { cwd: folder, encoding: 'utf8' }).trim();
  }

  function expectValidLayout(name: string, manifests: number): void {
    const read = (path: string) => parseJson(readFileSync(join(folder, name, path), 'utf8'), path);
    const readBlob = ({ digest }: Descriptor) => read(`blobs/${digest.replace(':', '/')}`);
    expect(validateLayout(read('oci-layout'))).toEqual([]);
    const index = read('index.json');
    expect(validateIndex(index)).toEqual([]);
    expect((index as Index).manifests).toHaveLength(manifests);
    for (const descriptor of (index as Index).manifests) {
      const manifest = readBlob(descriptor);
      expect(validateManifest(manifest)).toEqual([]);
      expect(validateImageConfig(readBlob((manifest as Manifest).config))).toEqual([]);
    }
  }

  test('umoci: an empty image, a configured one and one with a layer', () => {
    run('umoci', 'init', '--layout', 'umoci');
    run('umoci', 'new', '--image', 'umoci:empty');
    run(
      'umoci',
      'config',
      '--image',
      'umoci:empty',
      '--tag',
      'set',
      '--config.user=1:2',
      '--config.env=A=b',
      '--config.volume=/v',
      '--config.exposedports=80/tcp',
      '--config.label=a=b',
      '--config.stopsignal=SIGTERM',
      '--config.cmd=/x',
      '--author=me',
    );
    run('umoci', 'unpack', '--image', 'umoci:empty', 'bundle');
    writeFileSync(join(folder, 'bundle/rootfs/file'), 'x');
    run('umoci', 'repack', '--image', 'umoci:layer', 'bundle');
    expectValidLayout('umoci', 3);
  });

  test('skopeo: converted from an archive of Docker’s', () => {
    run('skopeo', 'copy', '-q', 'oci:umoci:set', 'docker-archive:docker.tar:a/b:c');
    run('skopeo', 'copy', '-q', 'docker-archive:docker.tar', 'oci:skopeo:c');
    expectValidLayout('skopeo', 1);
  });

  test('buildah', () => {
    const store = ['--storage-driver', 'vfs', '--root', 'store', '--runroot', 'run'];
    const container = run('buildah', ...store, 'from', 'scratch');
    try {
      run('buildah', ...store, 'add', container, 'docker.tar', '/');
      run('buildah', ...store, 'config', '--entrypoint', '["/x"]', '--volume', '/v', container);
      run('buildah', ...store, 'commit', '-q', container, 'oci:buildah:tag');
    } finally {
      run('buildah', ...store, 'rm', container);
    }
    expectValidLayout('buildah', 1);
  });
});

describe('full documents are valid', () => {
  test.each<[string, unknown, (value: unknown) => Violation[]]>([
    ['descriptor', DESCRIPTOR, validateDescriptor],
    ['manifest', MANIFEST, validateManifest],
    ['index', INDEX, validateIndex],
    ['image configuration', CONFIG, validateImageConfig],
    ['layout', { imageLayoutVersion: '1.0.0' }, validateLayout],
    ['manifest without layers', { ...MANIFEST, layers: [] }, validateManifest],
    ['index without manifests', { ...INDEX, manifests: [] }, validateIndex],
    ['documents with unknown properties', { ...MANIFEST, x: { y: 1 } }, validateManifest],
  ])('%s', (_name, value, validate) => {
    expect(validate(value)).toEqual([]);
  });

  test('null stands for absence in an image configuration', () => {
    const absent = {
      Env: null,
      Cmd: null,
      Entrypoint: null,
      Volumes: null,
      Labels: null,
      ExposedPorts: null,
    };
    expect(validateImageConfig({ ...CONFIG, config: absent, history: null })).toEqual([]);
    expect(validateImageConfig({ ...CONFIG, config: null })).toEqual([]);
    const nulls = {
      ...{ ...CONFIG, created: null, author: null, variant: null },
      config: { User: null, WorkingDir: null, StopSignal: null, Cmd: ['a'], Volumes: { '/x': {} } },
      history: [{ created: null, author: null, created_by: 'x', empty_layer: null }, null],
    };
    expect(withoutNulls(nulls)).toEqual({
      ...(withoutNulls({ ...CONFIG, created: null, author: null, variant: null }) as object),
      config: { Cmd: ['a'], Volumes: { '/x': {} } },
      history: [{ created_by: 'x' }, null],
    });
    expect(withoutNulls({ config: 1, history: 2, rootfs: null })).toEqual({
      config: 1,
      history: 2,
    });
    expect(withoutNulls([null])).toEqual([null]);
  });
});

test.each([
  `sha512:${'0'.repeat(128)}`,
  `blake3:${'a'.repeat(64)}`,
  'multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8',
  'sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564=',
])('the digest %s is taken', (digest) => {
  expect(validateDescriptor({ ...DESCRIPTOR, digest })).toEqual([]);
});

test.each([
  '',
  'sha256:',
  `sha256:${'0'.repeat(63)}`,
  `sha256:${'A'.repeat(64)}`,
  `sha512:${'0'.repeat(64)}`,
  'sha256',
  `${DIGEST}\n`,
  'sha256:../../etc/passwd',
  '../x:y',
  `SHA256:${'0'.repeat(64)}`,
  'md5::x',
])('the digest %j is refused', (digest) => {
  expect(validateDescriptor({ ...DESCRIPTOR, digest })).toEqual([
    { pointer: '/digest', found: JSON.stringify(digest), allowed: DIGEST_WORDS },
  ]);
});

test.each<[string, unknown, string, string]>([
  ['/mediaType', 'tar', '"tar"', MEDIA_TYPE_WORDS],
  ['/mediaType', undefined, 'missing', MEDIA_TYPE_WORDS],
  ['/size', -1, '-1', SIZE_WORDS],
  ['/size', '12', '"12"', SIZE_WORDS],
  ['/size', 2n ** 60n, '1152921504606846976', SIZE_WORDS],
  ['/urls/0', 'not a uri', '"not a uri"', 'a URI'],
  ['/data', 'e30', '"e30"', 'base64 (RFC 4648, section 4)'],
  ['/platform/os', undefined, 'missing', 'a string'],
  ['/annotations/a', 1, '1', 'a string'],
])('descriptor: %s = %p', (pointer, value, found, allowed) => {
  expect(validateDescriptor(withValue(DESCRIPTOR, pointer, value))).toEqual([
    { pointer, found, allowed },
  ]);
});

const NO_MANIFESTS = 'nothing: an image manifest has no "manifests", that is an image index';

test.each<[string, unknown, string, string]>([
  ['/schemaVersion', 1, '1', '2'],
  ['/config', undefined, 'missing', DESCRIPTOR_WORDS],
  ['/config/digest', undefined, 'missing', DIGEST_WORDS],
  ['/layers', undefined, 'missing', 'an array of descriptors'],
  ['/layers/0/size', 1.5, '1.5', SIZE_WORDS],
  ['/layers/0', 'x', '"x"', DESCRIPTOR_WORDS],
  ['/manifests', [], 'an empty array', NO_MANIFESTS],
  ['/manifests', [DESCRIPTOR], 'an array', NO_MANIFESTS],
  [
    '/mediaType',
    'application/vnd.oci.image.index.v1+json',
    '"application/vnd.oci.image.index.v1+json"',
    `one of "${MANIFEST_TYPE}", "application/vnd.docker.distribution.manifest.v2+json"`,
  ],
])('manifest: %s = %p', (pointer, value, found, allowed) => {
  expect(validateManifest(withValue(MANIFEST, pointer, value))).toEqual([
    { pointer, found, allowed },
  ]);
});

test.each<[string, unknown, string, string]>([
  ['/manifests', undefined, 'missing', 'an array of descriptors'],
  ['/manifests/0/platform/architecture', 1, '1', 'a string'],
  [
    '/layers',
    [],
    'an empty array',
    'nothing: an image index has no "config" and no "layers", those are an image manifest\'s',
  ],
  [
    '/config',
    DESCRIPTOR,
    'an object',
    'nothing: an image index has no "config" and no "layers", those are an image manifest\'s',
  ],
])('index: %s = %p', (pointer, value, found, allowed) => {
  expect(validateIndex(withValue(INDEX, pointer, value))).toEqual([{ pointer, found, allowed }]);
});

test('CVE-2021-41190: a document that is both a manifest and an index is neither', () => {
  const { mediaType: _manifestType, ...manifest } = MANIFEST;
  const both = { ...manifest, manifests: INDEX.manifests };
  expect(validateManifest(both).map(({ pointer }) => pointer)).toEqual(['/manifests']);
  expect(
    validateIndex(both)
      .map(({ pointer }) => pointer)
      .sort(),
  ).toEqual(['/config', '/layers']);
});

test.each<[string, unknown, string, string]>([
  ['/architecture', undefined, 'missing', 'a string'],
  ['/rootfs', undefined, 'missing', 'an object'],
  ['/rootfs/type', 'zip', '"zip"', '"layers"'],
  ['/rootfs/diff_ids', null, 'null', 'an array of digests'],
  ['/rootfs/diff_ids/0', 'x', '"x"', DIGEST_WORDS],
  ['/created', 'yesterday', '"yesterday"', TIME_WORDS],
  ['/history/0/created', '2024-05-01', '"2024-05-01"', TIME_WORDS],
  ['/history/0/empty_layer', 'no', '"no"', 'true or false'],
  ['/config/Env', 'A=b', '"A=b"', 'an array of strings'],
  ['/config/Cmd/0', 1, '1', 'a string'],
  ['/config/Volumes', ['/v'], 'an array', 'an object whose values are empty objects'],
  ['/config/Labels/a', null, 'null', 'a string'],
  ['/config/User', 0, '0', 'a string'],
])('image configuration: %s = %p', (pointer, value, found, allowed) => {
  expect(validateImageConfig(withValue(CONFIG, pointer, value))).toEqual([
    { pointer, found, allowed },
  ]);
});

test('layout of another version', () => {
  expect(validateLayout({ imageLayoutVersion: '2.0.0' })).toEqual([
    { pointer: '/imageLayoutVersion', found: '"2.0.0"', allowed: '"1.0.0"' },
  ]);
});
