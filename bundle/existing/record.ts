import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  realpathSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { chainIds } from '../image/chain.ts';
import { parseDigest } from '../image/digest.ts';
import { formatPlatform } from '../image/platform.ts';
import type { Image } from '../image/resolve.ts';
import type { Privileges } from '../layers/privileges.ts';
import type { Time } from '../layers/tar/fields.ts';
import { layerDirectory, RECORD } from '../store/files.ts';

export { RECORD };

/** Nanoseconds. */
const SECOND = 1_000_000_000n;

/** The directories of a bundle, beside its root filesystem, that an overlay mount writes to. */
export const UPPER = 'upper';
export const WORK = 'work';

/** Where the image of a bundle came from, and what became of it. */
export interface BundleOrigin {
  /** The path of the store that has its unpacked layers; undefined for what `unpack` made. */
  readonly store?: string;
  /** The image's name in the store, as it was typed. */
  readonly image?: string;
  /**
   * `LAYOUT[:TAG]`, absolute, or `docker-archive:FILE[:NAME]`; undefined when it came from the
   * store.
   */
  readonly layout?: string;
  /**
   * `overlay`: `rootfs` is a mount of the store's unpacked layers with `upper` above them.
   * `copy`: it has files of its own.
   */
  readonly how: 'overlay' | 'copy';
  /** What the one who made it could do: without privileges all files are the caller's own. */
  readonly privileges: Privileges;
}

/** What a bundle says of the image that it was made of. */
export interface BundleRecord extends BundleOrigin {
  /** Digest of the manifest. */
  readonly manifest: string;
  /** Digest of the configuration, which is the image's ID. */
  readonly config: string;
  /** The chain IDs of its layers, the lowest first: the last names all of them together. */
  readonly layers: readonly string[];
  /** `os/architecture[/variant]`. */
  readonly platform: string;
  /**
   * When its files were complete, by the clock of their file system: only what has a later status
   * change can have other content.
   */
  readonly complete?: Time;
}

/**
 * The path of a bundle by which mounts and leases know it: absolute, without symbolic links. The
 * bundle itself need not exist.
 *
 * @throws Error of node:fs when its parent does not
 */
export function bundlePath(bundle: string): string {
  const path = resolve(bundle);
  return existsSync(path) ? realpathSync(path) : join(realpathSync(dirname(path)), basename(path));
}

/** What is to be remembered of an image. */
export function recordOf(
  { descriptor, manifest, config }: Image,
  origin: BundleOrigin,
): BundleRecord {
  return {
    ...origin,
    manifest: descriptor.digest,
    config: manifest.config.digest,
    layers: chainIds(config.rootfs.diff_ids),
    platform: formatPlatform(config),
  };
}

/**
 * Writes down, as the last of its files, what a bundle was made of.
 *
 * @param directory the bundle's
 * @throws Error in one line
 */
export function writeRecord(directory: string, record: Omit<BundleRecord, 'complete'>): void {
  try {
    const fd = openSync(join(directory, RECORD), 'wx', 0o644);
    try {
      const complete = changeTime(fd);
      writeSync(fd, `${JSON.stringify({ ...record, complete }, null, '\t')}\n`);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new Error(`cannot write ${RECORD}: ${reason(error)}`, { cause: error });
  }
}

function changeTime(fd: number): Time {
  const { ctimeNs } = fstatSync(fd, { bigint: true });
  return { seconds: Number(ctimeNs / SECOND), nanoseconds: Number(ctimeNs % SECOND) };
}

/** Whether a path is a bundle's directory, whoever made it. */
export function isBundle(path: string): boolean {
  return existsSync(join(path, 'config.json'));
}

/** Whether a bundle says of which image it was made. */
export function hasRecord(bundle: string): boolean {
  return existsSync(join(bundle, RECORD));
}

/**
 * Reads what a bundle says of its image.
 *
 * @param bundle its directory
 * @throws Error in one line when it is no bundle of scow-bundle's, or the file is damaged
 */
export function readRecord(bundle: string): BundleRecord {
  const path = join(bundle, RECORD);
  let value: Partial<BundleRecord>;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR')
      throw new Error(`${bundle} is no bundle that scow-bundle made: it has no ${RECORD}`, {
        cause: error,
      });
    throw new Error(`cannot read ${path}: ${reason(error)}`, { cause: error });
  }
  if (!isRecord(value)) throw new Error(`${path} is damaged: the bundle must be made anew`);
  return value;
}

/**
 * The directories of the unpacked layers that a bundle was made of, the lowest first.
 *
 * @throws Error for a bundle that has none: its image was unpacked into it
 */
export function lowerDirectories(record: BundleRecord): string[] {
  const { store, layers, privileges } = record;
  if (store === undefined) throw new Error('its layers are in no store: it was unpacked');
  return layers.map((id) => join(layerDirectory(store, id, privileges), 'diff'));
}

function isRecord(value: Partial<BundleRecord> | null): value is BundleRecord {
  if (value === null || typeof value !== 'object') return false;
  const { store, image, layout, how, privileges, manifest, config, layers, platform, complete } =
    value;
  const isText = (one: unknown) => typeof one === 'string';
  const isOptional = (one: unknown) => one === undefined || isText(one);
  return (
    (how === 'overlay' || how === 'copy') &&
    ['full', 'namespace', 'rootless'].includes(privileges as string) &&
    [store, image, layout].every(isOptional) &&
    isText(platform) &&
    [complete?.seconds ?? 0, complete?.nanoseconds ?? 0].every(Number.isSafeInteger) &&
    Array.isArray(layers) &&
    [manifest, config, ...layers].every(isDigest)
  );
}

function isDigest(value: unknown): boolean {
  try {
    return typeof value === 'string' && parseDigest(value) !== undefined;
  } catch {
    return false;
  }
}
