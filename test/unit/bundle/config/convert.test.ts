import { convertConfig } from '../../../../bundle/config/convert.ts';
import { defaultConfig, rootlessConfig } from '../../../../schemas/default-config.ts';
import type { ImageConfig, ImageExecution } from '../../../../schemas/image.ts';
import { validateRuntimeConfig } from '../../../../schemas/validate.ts';

/** A root filesystem that has one directory. */
const ROOTFS = {
  user: { uid: 0, gid: 0 },
  directory: (path: string) =>
    path === '/data/logs' ? { mode: 0o2750, uid: 7, gid: 8 } : undefined,
};

function convert(config: ImageExecution, fields: Partial<ImageConfig> = {}) {
  const image: ImageConfig = {
    architecture: 'arm64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [] },
    config,
    ...fields,
  };
  const result = convertConfig(defaultConfig(), image, ROOTFS, false);
  expect(validateRuntimeConfig(result)).toEqual([]);
  return result;
}

test('the default configurations are valid', () => {
  expect(validateRuntimeConfig(defaultConfig())).toEqual([]);
  expect(validateRuntimeConfig(rootlessConfig(defaultConfig(), 1000, 1000))).toEqual([]);
});

test('Entrypoint comes before Cmd; without both the default program stays', () => {
  expect(convert({ Entrypoint: ['/init', '-x'], Cmd: ['a', 'b'] }).process?.args).toEqual([
    '/init',
    '-x',
    'a',
    'b',
  ]);
  expect(convert({ Cmd: ['sh'] }).process?.args).toEqual(['sh']);
  expect(convert({ Entrypoint: null, Cmd: null }).process?.args).toEqual(['sh']);
});

test('Env is kept verbatim, and only names that it lacks are added', () => {
  expect(convert({ Env: ['B=1', 'TERM=', 'A=x=y'] }).process?.env).toEqual([
    'B=1',
    'TERM=',
    'A=x=y',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  ]);
});

test('WorkingDir is the cwd, / where it is empty', () => {
  expect(convert({ WorkingDir: '/srv/app' }).process?.cwd).toBe('/srv/app');
  expect(convert({ WorkingDir: '' }).process?.cwd).toBe('/');
  expect(convert({}).process?.cwd).toBe('/');
});

test('the root filesystem can be written to', () => {
  expect(convert({}).root).toEqual({ path: 'rootfs', readonly: false });
});

test('volumes are mounts after all others, parents first, as open as they are in the image', () => {
  const { mounts = [] } = convert({ Volumes: { '/data/logs': {}, '/data': {} } });
  const options = ['rw', 'nosuid', 'nodev', 'noexec', 'relatime'];
  expect(mounts.slice(-2)).toEqual([
    {
      destination: '/data',
      type: 'tmpfs',
      source: 'tmpfs',
      options: [...options, 'mode=755'],
    },
    expect.objectContaining({
      destination: '/data/logs',
      options: [...options, 'mode=2750', 'uid=7', 'gid=8'],
    }),
  ]);
});

test('what no field has becomes annotations, and labels win', () => {
  const { annotations } = convert(
    {
      StopSignal: 'SIGRTMIN+3',
      ExposedPorts: { '80/tcp': {}, '53/udp': {} },
      Labels: { maintainer: 'me', 'org.opencontainers.image.author': 'label' },
    },
    {
      author: 'field',
      created: '2024-01-02T03:04:05.678Z',
      variant: 'v8',
      'os.version': '6.1',
      'os.features': ['a', 'b'],
    },
  );
  expect(annotations).toEqual({
    'org.opencontainers.image.os': 'linux',
    'org.opencontainers.image.architecture': 'arm64',
    'org.opencontainers.image.variant': 'v8',
    'org.opencontainers.image.os.version': '6.1',
    'org.opencontainers.image.os.features': 'a,b',
    'org.opencontainers.image.author': 'label',
    'org.opencontainers.image.created': '2024-01-02T03:04:05.678Z',
    'org.opencontainers.image.stopSignal': 'SIGRTMIN+3',
    'org.opencontainers.image.exposedPorts': '80/tcp,53/udp',
    maintainer: 'me',
  });
});

test('an image that says nothing gets what its platform says', () => {
  expect(convert({}).annotations).toEqual({
    'org.opencontainers.image.os': 'linux',
    'org.opencontainers.image.architecture': 'arm64',
  });
});

test.each<[ImageExecution, string]>([
  [{ Env: ['=x'] }, 'the image\'s Env has "=x", which is not NAME=VALUE'],
  [{ Env: ['FOO'] }, 'the image\'s Env has "FOO", which is not NAME=VALUE'],
  [{ WorkingDir: 'app' }, 'the image\'s WorkingDir "app" is not an absolute path'],
  [
    { Volumes: { data: {} } },
    'the image\'s Volumes has "data": want an absolute path other than /',
  ],
  [
    { Volumes: { '/x/..': {} } },
    'the image\'s Volumes has "/x/..": want an absolute path other than /',
  ],
])('%j is refused', (config, message) => {
  expect(() => convert(config)).toThrow(message);
});
