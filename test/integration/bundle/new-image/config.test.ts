import { digestOf, LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import {
  at,
  bundler,
  image,
  ok,
  setUp,
  TEAM,
  TREE,
  tearDown,
} from '../transfer/archives-support.ts';

/** config: the configuration of an image is edited */

beforeAll(setUp);
afterAll(tearDown);

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
    ...['--label', 'm=2', '--volume', '/v/', '--expose', '80', '--user', '5:6', '--workdir', '/w'],
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
  [['--no-history'], 'nothing is to be changed: give a flag such as --env, or --change'],
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
