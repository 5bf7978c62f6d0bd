import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { withRoot } from '../config/rootfs-file.ts';
import { writeRuntimeConfig } from '../config/runtime-config.ts';
import { recordOf, writeRecord } from '../existing/record.ts';
import { layerSources } from '../image/layers.ts';
import { parsePlatform } from '../image/platform.ts';
import { type Image, resolveImage } from '../image/resolve.ts';
import { applyLayers } from '../layers/apply.ts';
import type { Privileges } from '../layers/privileges.ts';
import type { SizeLimit } from '../layers/size-limit.ts';
import { parseFileLocation } from '../transfer/locations.ts';
import { planOf, type UnpackObserver, type UnpackPlan, warnOfForeign } from './observer.ts';
import { type OpenImage, openImageFile } from './open-image.ts';
import { abandon, openStaging, type Staging } from './staging.ts';

/** What to unpack, where to, and how. */
export interface UnpackOptions {
  /** `LAYOUT[:TAG]`, or another place as `parseFileLocation` reads it. */
  readonly image: string;
  /** The bundle's directory: one that does not exist, or is empty. */
  readonly bundle: string;
  /** `OS/ARCH[/VARIANT]`; this machine's where undefined. */
  readonly platform?: string;
  /** For an ordinary user: everything is the user's own, and root in the container. */
  readonly rootless: boolean;
  /** What may be tried. */
  readonly privileges: Privileges;
  /** Whether the program shall get a terminal of its own. */
  readonly terminal: boolean;
  /** What the layers may come to; anything where undefined. */
  readonly limit?: SizeLimit;
}

/**
 * Makes a bundle of an image: `rootfs` and a validated `config.json`. Whatever goes wrong,
 * nothing is left behind.
 *
 * @param signal stops the unpack, which then fails with the signal's reason
 * @returns what was unpacked
 * @throws Error in one line
 */
export async function unpack(
  options: UnpackOptions,
  observer: UnpackObserver,
  signal: AbortSignal,
): Promise<UnpackPlan> {
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const { source, origin } = await openImageFile(parseFileLocation(options.image));
  try {
    const image = await resolveImage(source, platform);
    const plan = planOf(image);
    warnOfForeign(image, platform === undefined, observer);
    const staging = openStaging(options.bundle);
    try {
      observer.begin(plan);
      await fill(staging, { image, source, origin }, options, observer, signal);
      signal.throwIfAborted();
      staging.commit();
    } catch (error) {
      abandon(staging, error);
      throw error;
    }
    return plan;
  } finally {
    source.close();
  }
}

async function fill(
  staging: Staging,
  { image, source, origin }: OpenImage & { readonly image: Image },
  options: UnpackOptions,
  observer: UnpackObserver,
  signal: AbortSignal,
): Promise<void> {
  const rootfs = join(staging.path, 'rootfs');
  const { privileges } = options;
  mkdirSync(rootfs);
  // Layers that say nothing of the root leave it as images expect it, whatever the umask.
  chmodSync(rootfs, 0o755);
  const opened = (index: number) => {
    signal.throwIfAborted();
    observer.layer(index);
  };
  const sources = layerSources(source, image, opened, options.limit);
  await applyLayers(rootfs, sources, {
    onProgress(bytes) {
      signal.throwIfAborted();
      observer.progress(bytes);
    },
    onWarning: (line) => observer.warning(line),
    privileges,
  });
  const warn = (line: string) => observer.warning(line);
  withRoot(rootfs, (root) => writeRuntimeConfig(staging.path, root, image.config, options, warn));
  writeRecord(staging.path, recordOf(image, { ...origin, how: 'copy', privileges }));
}
