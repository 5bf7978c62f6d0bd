import { chmodSync, closeSync, constants, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reason } from '../runtime/linux/reason.ts';
import { defaultConfig, rootlessConfig } from '../schemas/default-config.ts';
import type { ImageConfig } from '../schemas/image.ts';
import type { RuntimeConfig } from '../schemas/runtime-config.ts';
import { formatViolations, validateRuntimeConfig } from '../schemas/validate.ts';
import { convertConfig, type RootfsFacts } from './config/convert.ts';
import { directoryInRoot, readInRoot } from './config/rootfs-file.ts';
import { resolveUser } from './config/user.ts';
import { layerSources } from './image/layers.ts';
import { openLayoutImage } from './image/layout-source.ts';
import { formatPlatform, hostPlatform, parsePlatform, platformDistance } from './image/platform.ts';
import { type Image, resolveImage } from './image/resolve.ts';
import type { BlobSource } from './image/source.ts';
import { applyLayers } from './layers/apply.ts';
import { openStaging, type Staging } from './staging.ts';

/** What to unpack, where to, and how. */
export interface UnpackOptions {
  /** `LAYOUT[:TAG]` */
  readonly image: string;
  /** The bundle's directory: one that does not exist, or is empty. */
  readonly bundle: string;
  /** `OS/ARCH[/VARIANT]`; this machine's where undefined. */
  readonly platform?: string;
  /** For an ordinary user: everything is the user's own, and root in the container. */
  readonly rootless: boolean;
  /** Whether the program shall get a terminal of its own. */
  readonly terminal: boolean;
}

/** What an unpack is about. */
export interface UnpackPlan {
  /** Digest of the manifest. */
  readonly manifest: string;
  /** Digest of the configuration, which is the image's ID. */
  readonly config: string;
  readonly platform: string;
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
  /** Bytes of all layers, compressed. */
  readonly bytes: number;
}

/** Hears how an unpack goes. */
export interface UnpackObserver {
  /** The image is known, nothing is written yet. */
  begin(plan: UnpackPlan): void;
  /** Layer number `index`, from 0, is being applied. */
  layer(index: number): void;
  /** So many bytes of all layers were read so far. */
  progress(bytes: number): void;
  /** Something that may surprise, in one line. */
  warning(text: string): void;
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
  const source = await openLayoutImage(options.image);
  try {
    const image = await resolveImage(source, platform);
    const plan = planOf(image);
    warnOfForeign(image, platform === undefined, observer);
    const staging = openStaging(options.bundle);
    try {
      observer.begin(plan);
      await fill(staging, image, source, options, observer, signal);
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

function planOf({ descriptor, manifest, config }: Image): UnpackPlan {
  const layers = manifest.layers.map(({ digest, size }) => ({ digest, size }));
  return {
    manifest: descriptor.digest,
    config: manifest.config.digest,
    platform: formatPlatform(config),
    layers,
    bytes: layers.reduce((sum, { size }) => sum + size, 0),
  };
}

/** An image that is not for this machine can be unpacked, and may run through an emulator. */
function warnOfForeign({ config }: Image, unasked: boolean, observer: UnpackObserver): void {
  const host = hostPlatform();
  if (unasked && platformDistance(host, config) === undefined)
    observer.warning(
      `the image is for ${formatPlatform(config)}, this machine is ${formatPlatform(host)}`,
    );
}

async function fill(
  staging: Staging,
  image: Image,
  source: BlobSource,
  options: UnpackOptions,
  observer: UnpackObserver,
  signal: AbortSignal,
): Promise<void> {
  const rootfs = join(staging.path, 'rootfs');
  mkdirSync(rootfs);
  // Layers that say nothing of the root leave it as images expect it, whatever the umask.
  chmodSync(rootfs, 0o755);
  const sources = layerSources(source, image, (index) => {
    signal.throwIfAborted();
    observer.layer(index);
  });
  await applyLayers(rootfs, sources, {
    onProgress(bytes) {
      signal.throwIfAborted();
      observer.progress(bytes);
    },
    onWarning: (line) => observer.warning(line),
    ...(options.rootless ? { privileges: 'rootless' as const } : {}),
  });
  const config = runtimeConfig(rootfs, image, options, observer);
  try {
    writeFileSync(join(staging.path, 'config.json'), `${JSON.stringify(config, null, '\t')}\n`);
  } catch (error) {
    throw new Error(`cannot write config.json: ${reason(error)}`, { cause: error });
  }
}

function runtimeConfig(
  rootfs: string,
  { config }: Image,
  { rootless, terminal }: UnpackOptions,
  observer: UnpackObserver,
): RuntimeConfig {
  const fd = openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const facts = rootfsFacts(fd, config, rootless);
    const { uid, gid } = facts.user;
    const converted = convertConfig(defaultConfig(), config, facts, terminal);
    const result = rootless ? rootlessFor(converted) : converted;
    if (rootless && (uid !== 0 || gid !== 0))
      observer.warning(
        `the image's user is ${uid}:${gid}, and only root is mapped in a rootless bundle: runtimes will refuse it until process.user in config.json is changed`,
      );
    const violations = validateRuntimeConfig(result);
    if (violations.length > 0)
      throw new Error(
        formatViolations("config.json, made of the image's configuration", violations),
      );
    return result;
  } finally {
    closeSync(fd);
  }
}

function rootfsFacts(fd: number, { config }: ImageConfig, rootless: boolean): RootfsFacts {
  const user = resolveUser(config?.User, {
    passwd: () => readInRoot(fd, '/etc/passwd'),
    group: () => readInRoot(fd, '/etc/group'),
  });
  return {
    user,
    directory(path) {
      const found = directoryInRoot(fd, path);
      // All files are the caller's then, who becomes root.
      return found !== undefined && rootless ? { ...found, uid: 0, gid: 0 } : found;
    },
  };
}

/** The caller becomes root; other groups can't be had in a user namespace of one's own. */
function rootlessFor(config: RuntimeConfig): RuntimeConfig {
  const rootless = rootlessConfig(config, process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
  const { uid, gid } = config.process?.user ?? { uid: 0, gid: 0 };
  return config.process === undefined
    ? rootless
    : { ...rootless, process: { ...config.process, user: { uid, gid } } };
}

/** Cleans up after a failure, which stays the one that is reported. */
function abandon(staging: Staging, cause: unknown): void {
  try {
    staging.discard();
  } catch (error) {
    throw new Error(
      `${(cause as Error).message}; and ${staging.path} could not be removed: ${reason(error)}`,
      { cause },
    );
  }
}
