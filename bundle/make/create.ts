import { chmodSync, existsSync, mkdirSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MAGIC } from '../../runtime/linux/constants.ts';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import type { ImageConfig } from '../../schemas/image.ts';
import { type RootReader, withRoot } from '../config/rootfs-file.ts';
import { type ConfigOptions, writeRuntimeConfig } from '../config/runtime-config.ts';
import { mountBundle } from '../existing/mount.ts';
import {
  type BundleOrigin,
  type BundleRecord,
  bundlePath,
  RECORD,
  recordOf,
  UPPER,
  WORK,
  writeRecord,
} from '../existing/record.ts';
import { foreignOwner } from '../files/ownership.ts';
import { chainIds } from '../image/chain.ts';
import { parsePlatform } from '../image/platform.ts';
import { type Image, resolveImage } from '../image/resolve.ts';
import type { ImageSource } from '../image/source.ts';
import { attributesOf } from '../layers/applier.ts';
import type { Privileges } from '../layers/privileges.ts';
import { Rootfs } from '../layers/rootfs.ts';
import type { SizeLimit } from '../layers/size-limit.ts';
import { Tree } from '../layers/tree.ts';
import { DiskTree } from '../layers/write/disk-tree.ts';
import { mountOverlay, type Overlay } from '../mount/overlay.ts';
import { unmount } from '../mount/table.ts';
import { ensureLayers } from '../store/layers.ts';
import type { Lease, Store } from '../store/store.ts';
import { copyLayers } from './copy-layers.ts';
import { treeReader, withLayers } from './layers-root.ts';
import { planOf, type UnpackObserver, type UnpackPlan, warnOfForeign } from './observer.ts';
import { abandon, openStaging, type Staging } from './staging.ts';

/** What to make, where, and how. */
export interface CreateOptions extends ConfigOptions {
  /** How the image was typed, for the record. */
  readonly origin: Pick<BundleOrigin, 'image' | 'layout'>;
  /** The bundle's directory: one that does not exist, or is empty. */
  readonly bundle: string;
  /** `OS/ARCH[/VARIANT]`; this machine's where undefined. */
  readonly platform?: string;
  /** Whether the bundle gets files of its own, also where layers can be mounted. */
  readonly copy: boolean;
  /** What may be tried when layers are unpacked and mounted. */
  readonly privileges: Privileges;
  /** What layers may come to that are not unpacked yet; anything where undefined. */
  readonly limit?: SizeLimit | undefined;
  /** Changes the image's configuration before `config.json` is made of it. */
  image?(config: ImageConfig): ImageConfig;
}

/**
 * Makes a bundle whose root filesystem is a mount of the image's unpacked layers, which all bundles
 * share, with a layer of its own above them. Where that can't be mounted the files are copied, and a
 * warning says why.
 *
 * @param source the image; the caller closes it
 * @param signal stops the work, which then fails with the signal's reason
 * @throws Error in one line; nothing is left behind then but unpacked layers
 */
export async function createBundle(
  store: Store,
  source: ImageSource,
  options: CreateOptions,
  observer: UnpackObserver,
  signal: AbortSignal,
): Promise<UnpackPlan> {
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const image = await resolveImage(source, platform);
  const plan = planOf(image);
  warnOfForeign(image, platform === undefined, observer);
  const chain = chainIds(image.config.rootfs.diff_ids);
  const digests = [image.descriptor.digest, image.manifest.config.digest, ...chain];
  const staging = openStaging(options.bundle);
  let lease: Lease | undefined;
  let bundle = '';
  try {
    bundle = bundlePath(options.bundle);
    lease = await store.leaseForBundle(bundle, ...digests);
    observer.begin(plan);
    const record = await fill(staging, store, { image, source }, options, observer, signal);
    signal.throwIfAborted();
    staging.commit();
    if (record.how === 'overlay') mountBundle(bundle, record);
    return plan;
  } catch (error) {
    if (!existsSync(join(bundle, RECORD))) {
      store.releaseBundle(bundle);
      abandon(staging, error);
    }
    throw error;
  } finally {
    lease?.release();
  }
}

/** An image, and where its blobs are. */
interface Opened {
  readonly image: Image;
  readonly source: ImageSource;
}

async function fill(
  staging: Staging,
  store: Store,
  { image, source }: Opened,
  options: CreateOptions,
  observer: UnpackObserver,
  signal: AbortSignal,
): Promise<BundleRecord> {
  const { privileges } = options;
  const rootfs = join(staging.path, 'rootfs');
  mkdirSync(rootfs);
  // An image without layers has nothing that could be mounted.
  const wanted = !options.copy && image.manifest.layers.length > 0;
  const overlay = wanted && isOwn(options.bundle, observer);
  const how = overlay && canMount(staging.path, privileges, observer) ? 'overlay' : 'copy';
  const check = () => signal.throwIfAborted();
  const warn = (line: string) => observer.warning(line);
  const layers = await ensureLayers(store, source, image, {
    privileges,
    signal,
    limit: options.limit,
    onLayer: (index) => observer.layer(index),
    onProgress: (bytes) => observer.progress(bytes),
    onWarning: warn,
  });
  const record = recordOf(image, { ...options.origin, store: store.path, how, privileges });
  const config = options.image?.(image.config) ?? image.config;
  const { path } = staging;
  const writeConfig = (root: RootReader) => writeRuntimeConfig(path, root, config, options, warn);
  if (how === 'overlay') {
    prepareUpper(join(path, UPPER), layers.at(-1) as string, privileges);
    withLayers(layers, privileges, (root) => writeConfig(treeReader(root)));
  } else {
    if (layers.length > 0) copyLayers(layers, rootfs, privileges, check, warn);
    else chmodSync(rootfs, 0o755);
    withRoot(rootfs, writeConfig);
  }
  writeRecord(staging.path, record);
  return record;
}

/** Whether a directory that was there before is the caller's; if not, people are told why. */
function isOwn(bundle: string, observer: UnpackObserver): boolean {
  const owner = foreignOwner(bundle);
  if (owner !== undefined)
    observer.warning(`the files are copied, since ${bundle} belongs to user ${owner}`);
  return owner === undefined;
}

/** Whether layers can be mounted with an upper directory there; if not, people are told why. */
function canMount(directory: string, privileges: Privileges, observer: UnpackObserver): boolean {
  const [upper, work, lower, target] = [UPPER, WORK, 'probe', 'rootfs'].map((name) =>
    join(directory, name),
  ) as [string, string, string, string];
  for (const path of [upper, work, lower]) mkdirSync(path, { mode: 0o700 });
  const overlay = { lower: [lower], upper, work, userXattrs: privileges !== 'full' };
  let why: string | undefined;
  try {
    mountForAMoment(overlay, target);
  } catch (error) {
    why = whyNot(error, directory);
  }
  const useless = why === undefined ? [lower] : [lower, upper, work];
  for (const path of useless) rmSync(path, { recursive: true });
  if (why !== undefined)
    observer.warning(`the files are copied, for layers cannot be mounted here: ${why}`);
  return why === undefined;
}

function whyNot(error: unknown, directory: string): string {
  const code = codeOf(error);
  if (code === 'EPERM')
    return 'it takes root, or a user namespace (unshare --user --map-root-user --mount)';
  if (code === 'ENODEV') return 'this kernel has no overlayfs';
  if (code === 'EINVAL' && statfsSync(directory).type === MAGIC.OVERLAYFS_SUPER)
    return `${dirname(directory)} is on an overlay itself`;
  return reason(error);
}

/** Mounts an overlay and takes it away again. @throws Error of the system call that failed */
function mountForAMoment(overlay: Overlay, target: string): void {
  mountOverlay(overlay, target);
  unmount(target);
}

/** Gives the root of the bundle's own layer what the image's has: a mount shows the uppermost. */
function prepareUpper(upper: string, top: string, privileges: Privileges): void {
  const tree = new DiskTree(top, { overlay: true, rootless: privileges === 'rootless' });
  try {
    const attributes = attributesOf(tree.root(), { layer: upper, name: Buffer.from('/') });
    // Told when the layer was unpacked.
    const disk = new Rootfs(upper, new Tree(attributes), privileges, () => undefined);
    disk.finish();
    disk.close();
  } finally {
    tree.close();
  }
}
