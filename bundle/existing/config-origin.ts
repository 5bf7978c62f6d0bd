import { join } from 'node:path';
import { defaultConfig } from '../../schemas/default-config.ts';
import { type Origin, originsOf } from '../config/origin.ts';
import { withRoot } from '../config/rootfs-file.ts';
import { runtimeConfig } from '../config/runtime-config.ts';
import { openBundleImage, readBundleConfig } from './files.ts';
import { isMounted } from './mount.ts';
import { bundlePath, readRecord } from './record.ts';

/**
 * Tells of every value of a bundle's config.json where it comes from: the image's configuration is
 * converted again, and what is the same now has the same source.
 *
 * @throws Error in one line
 */
export async function configOrigins(bundle: string): Promise<Origin[]> {
  const record = readRecord(bundle);
  const rootfs = join(bundlePath(bundle), 'rootfs');
  if (record.how === 'overlay' && !isMounted(rootfs))
    throw new Error(`${bundle} is not mounted: scow-bundle mount ${bundle}`);
  const { image, source } = await openBundleImage(bundle, record);
  try {
    const actual = readBundleConfig(bundle);
    const { namespaces = [], uidMappings: uids = [], gidMappings: gids = [] } = actual.linux ?? {};
    const rootless = namespaces.some(({ type }) => type === 'user');
    const options = { rootless, ids: { uids, gids }, terminal: false };
    const config = withRoot(rootfs, (root) =>
      runtimeConfig(root, image.config, options, () => undefined),
    );
    return originsOf(actual, {
      config,
      base: defaultConfig(),
      image: image.config,
    });
  } finally {
    source.close();
  }
}
