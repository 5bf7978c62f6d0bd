import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseJson, validateRuntimeConfig } from '../../../schemas/validate.ts';
import { fullConfig } from '../../helpers/full-config.ts';
import { pointersOf, withValue } from '../../helpers/json-edit.ts';

const SCHEMAS = join(__dirname, '../../../schemas');

describe('what other runtimes generate is valid', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scow-schemas-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test.each([
    ['runc', 'spec'],
    ['runc', 'spec', '--rootless'],
    ['crun', 'spec'],
    ['crun', 'spec', '--rootless'],
  ])('%s %s %s', (program, ...options) => {
    execFileSync(program, options.filter(Boolean), { cwd: folder });
    const text = readFileSync(join(folder, 'config.json'), 'utf8');
    expect(validateRuntimeConfig(parseJson(text, 'config.json'))).toEqual([]);
  });
});

test('a configuration with every property of the specification is valid', () => {
  expect(validateRuntimeConfig(fullConfig())).toEqual([]);
});

test('the full configuration has every property that the schemas name', () => {
  const present = new Set(
    [...pointersOf(fullConfig())].map((pointer) => pointer.replace(/\/\d+/g, '/*')),
  );
  const named = [...propertiesOf('runtime/config', '')];
  expect(named.length).toBeGreaterThan(150);
  expect(named.filter((pointer) => !present.has(pointer))).toEqual([]);
});

/** The places that a schema file describes, arrays' entries as `*`; maps are left out. */
function* propertiesOf(path: string, pointer: string): Generator<string> {
  const schema = JSON.parse(readFileSync(join(SCHEMAS, `${path}.schema.json`), 'utf8'));
  yield* walk(schema, schema, path, pointer);
}

// biome-ignore lint/suspicious/noExplicitAny: schemas have no type of their own here
function* walk(schema: any, root: any, path: string, pointer: string): Generator<string> {
  if (schema.$ref?.startsWith('#')) {
    yield* walk(root.definitions[schema.$ref.split('/').pop()], root, path, pointer);
  } else if (schema.$ref !== undefined && !schema.$ref.includes('#')) {
    yield* propertiesOf(`runtime/${schema.$ref.replace('.schema.json', '')}`, pointer);
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    yield `${pointer}/${name}`;
    yield* walk(property, root, path, `${pointer}/${name}`);
  }
  if (schema.items !== undefined) yield* walk(schema.items, root, path, `${pointer}/*`);
}

test('the least possible configuration is valid', () => {
  expect(validateRuntimeConfig({ ociVersion: '1.0.0', root: { path: '/' } })).toEqual([]);
});

test('unknown properties are ignored, as are those of other platforms', () => {
  const config = {
    ...fullConfig(),
    future: { a: [1] },
    windows: 7,
    solaris: { anet: 'x' },
    linux: { ...fullConfig().linux, tomorrow: null },
    process: { ...fullConfig().process, commandLine: 7 },
  };
  expect(validateRuntimeConfig(config)).toEqual([]);
});

test.each(['1.0.0', '1.0.2-dev', '1.0.0-rc5-dev', '1.2.1+dev', '1.3.0', '1.99.0', '1.0.0-rc.1'])(
  'version %s is taken',
  (ociVersion) => {
    expect(validateRuntimeConfig({ ociVersion, root: { path: 'rootfs' } })).toEqual([]);
  },
);

test.each([
  '1.0',
  '2.0.0',
  '0.9.0',
  '11.0.0',
  'v1.0.0',
  '1.0.0 ',
  '1.02.0',
  '',
  '1.0.0-',
  '1.0.0+a+b',
])('version %p is refused', (ociVersion) => {
  expect(validateRuntimeConfig({ ociVersion, root: { path: 'rootfs' } })).toEqual([
    {
      pointer: '/ociVersion',
      found: JSON.stringify(ociVersion),
      allowed: 'a version 1.x.y (SemVer), such as "1.3.0"',
    },
  ]);
});

test.each([
  ['/process/rlimits/1/hard', 18446744073709551615n],
  // JSON.parse rounds 2^64 - 1 up to this number.
  ['/process/rlimits/1/hard', 2 ** 64],
  ['/linux/resources/memory/limit', 9223372036854775807n],
  ['/linux/resources/memory/limit', 2 ** 63],
  ['/linux/resources/memory/limit', -9223372036854775808n],
  ['/linux/resources/hugepageLimits/0/limit', 9223372036854772000],
])('%s may be %p', (pointer, value) => {
  expect(validateRuntimeConfig(withValue(fullConfig(), pointer, value))).toEqual([]);
});

test('many mistakes are all reported at once, each once', () => {
  let config: unknown = fullConfig();
  const places = [
    '/ociVersion',
    '/process/cwd',
    '/process/rlimits/0',
    '/mounts/0',
    '/linux/seccomp/syscalls/0/action',
    '/linux/resources/pids/limit',
  ];
  for (const place of places) config = withValue(config, place, false);
  config = withValue(config, '/linux/namespaces/2/type', 'pid');
  const pointers = validateRuntimeConfig(config).map(({ pointer }) => pointer);
  expect(pointers.sort()).toEqual([...places, '/linux/namespaces/2/type'].sort());
});
