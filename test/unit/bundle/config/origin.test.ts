import { convertConfig } from '../../../../bundle/config/convert.ts';
import { originsOf } from '../../../../bundle/config/origin.ts';
import { defaultConfig, rootlessConfig } from '../../../../schemas/default-config.ts';
import type { ImageConfig } from '../../../../schemas/image.ts';
import type { RuntimeConfig } from '../../../../schemas/runtime-config.ts';

const IMAGE: ImageConfig = {
  os: 'linux',
  architecture: 'amd64',
  config: { Entrypoint: ['/e'], Cmd: ['c'], Volumes: { '/v': {} } },
  rootfs: { type: 'layers', diff_ids: [] },
};
const FACTS = { user: { uid: 0, gid: 0 }, directory: () => undefined };

function sources(edit: (config: RuntimeConfig) => RuntimeConfig = (config) => config) {
  const base = defaultConfig();
  const config = rootlessConfig(convertConfig(base, IMAGE, FACTS, false), 1000, 1000);
  const origins = originsOf(edit(config), { config, base, image: IMAGE });
  return {
    config,
    of: Object.fromEntries(origins.map(({ pointer, source }) => [pointer, source])),
  };
}

test('what is other for an ordinary user is told from the defaults, wherever it has moved', () => {
  const { config, of } = sources();
  const mounts = config.mounts ?? [];
  const volume = mounts.findIndex(({ destination }) => destination === '/v');
  const mqueue = mounts.findIndex(({ destination }) => destination === '/dev/mqueue');
  expect(of).toMatchObject({
    [`/mounts/${volume}/type`]: 'the image\'s Volumes["/v"]',
    [`/mounts/${mqueue}/type`]: 'default',
    '/linux/uidMappings/0/hostID': 'rootless',
    '/process/args/0': "the image's Entrypoint[0]",
    '/process/args/1': "the image's Cmd[0]",
    '/process/user/uid': 'default: the superuser',
    '/process/env/0': 'default',
  });
});

test('what was put before others does not make them new', () => {
  const { of } = sources((config) => ({
    ...config,
    mounts: [{ destination: '/mine', type: 'tmpfs', source: 'tmpfs' }, ...(config.mounts ?? [])],
    annotations: { ...config.annotations, 'a/b~c': 'd' },
  }));
  expect(of).toMatchObject({
    '/mounts/0/type': 'a flag, or an edit',
    '/mounts/1/destination': 'default',
    '/annotations/a~1b~0c': 'a flag, or an edit',
    '/annotations/org.opencontainers.image.architecture': "the image's architecture",
  });
});
