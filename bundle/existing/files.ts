import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reason } from '../../runtime/linux/reason.ts';
import { parseJson } from '../../schemas/parse-json.ts';
import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { manifestByDigest } from '../image/by-digest.ts';
import { layerSources } from '../image/layers.ts';
import { openLayout } from '../image/layout.ts';
import { layoutBlobs } from '../image/layout-source.ts';
import { parseImageReference } from '../image/reference.ts';
import { type Image, resolveImage } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import type { Change } from '../layers/write/changes.ts';
import { changesOfOverlay, changesOfTree } from '../layers/write/compare.ts';
import type { DiskFile } from '../layers/write/disk-file.ts';
import { DiskTree } from '../layers/write/disk-tree.ts';
import { mergeLayers } from '../layers/write/merged.ts';
import { resolvePath } from '../layers/write/resolve-path.ts';
import { openStore } from '../store/store.ts';
import { openSource } from '../transfer/locations.ts';
import { type BundleRecord, lowerDirectories, UPPER } from './record.ts';

/** The image that a bundle was made of. */
export interface BundleImage {
  readonly image: Image;
  readonly source: BlobSource;
}

/**
 * Opens the image that a bundle was made of, also where its name leads to another one by now. The
 * caller closes the source.
 *
 * @throws Error in one line when it is not there any more
 */
export async function openBundleImage(bundle: string, record: BundleRecord): Promise<BundleImage> {
  let source: BlobSource | undefined;
  try {
    source = await openBlobs(record);
    const root = await manifestByDigest(source, record.manifest);
    return { image: await resolveImage({ ...source, root }), source };
  } catch (cause) {
    source?.close();
    throw new Error(`${bundle}: its image cannot be read: ${(cause as Error).message}`, { cause });
  }
}

async function openBlobs({ store, layout }: BundleRecord): Promise<BlobSource> {
  if (layout === undefined) return openStore(store).blobs();
  // Of another kind than a layout, which is named by an absolute path.
  if (!layout.startsWith('/')) return openSource(layout, {});
  const { storage } = await openLayout(parseImageReference(layout).layout);
  return layoutBlobs(storage);
}

/** The files of a bundle, as its container sees them. */
export interface BundleFiles {
  readonly root: DiskFile;
  /** The upper directory of an overlay; the root itself where the bundle has files of its own. */
  readonly top: DiskFile;
  /** The layers of an overlay, uppermost first. */
  readonly lowers: readonly DiskFile[];
  close(): void;
}

/** Opens a bundle's files; an overlay need not be mounted. @throws Error in one line */
export function openBundleFiles(bundle: string, record: BundleRecord): BundleFiles {
  const trees: DiskTree[] = [];
  const overlay = record.how === 'overlay';
  const open = (path: string) => {
    const tree = new DiskTree(path, { overlay, rootless: record.privileges === 'rootless' });
    trees.push(tree);
    return tree.root();
  };
  const close = () => {
    for (const tree of trees) tree.close();
  };
  try {
    if (!overlay) {
      const root = open(join(bundle, 'rootfs'));
      return { root, top: root, lowers: [], close };
    }
    const top = open(join(bundle, UPPER));
    const lowers = lowerDirectories(record).reverse().map(open);
    return { root: mergeLayers([top, ...lowers]), top, lowers, close };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * Finds what a bundle's container has changed of its image. What is mounted when it runs, and the
 * image's volumes, are not of the image.
 *
 * @throws Error in one line
 */
export async function changesOfBundle(
  bundle: string,
  record: BundleRecord,
  { image, source }: BundleImage,
  files: BundleFiles,
  signal: AbortSignal,
): Promise<readonly Change[]> {
  const excluded = excludedPaths(readBundleConfig(bundle), image, files.root);
  if (record.how === 'overlay') return changesOfOverlay(files.top, files.lowers, excluded);
  const layers = layerSources(source, image, () => signal.throwIfAborted());
  return changesOfTree(files.top, layers, {
    privileges: record.privileges,
    complete: record.complete,
    excluded,
    onProgress: () => signal.throwIfAborted(),
  });
}

/** Reads a bundle's `config.json`. @throws Error in one line */
export function readBundleConfig(bundle: string): RuntimeConfig {
  const path = join(bundle, 'config.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Error(`cannot read ${path}: ${reason(cause)}`, { cause });
  }
  return parseJson(text, path) as unknown as RuntimeConfig;
}

function excludedPaths({ mounts }: RuntimeConfig, { config }: Image, root: DiskFile): string[] {
  const paths = [
    ...(mounts ?? []).map(({ destination }) => destination),
    ...Object.keys(config.config?.Volumes ?? {}),
  ];
  return paths
    .map((path) => resolvePath(root, Buffer.from(path).toString('latin1')))
    .filter((path) => path !== '');
}
