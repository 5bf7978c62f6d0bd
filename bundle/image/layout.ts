import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { reason } from '../../runtime/linux/reason.ts';
import type { Index } from '../../schemas/image.ts';
import {
  formatViolations,
  parseJson,
  validateIndex,
  validateLayout,
} from '../../schemas/validate-image.ts';
import { archiveStorage } from './archive.ts';
import { directoryStorage } from './directory.ts';
import { readNamed } from './read-blob.ts';
import type { Storage } from './storage.ts';

/** An open OCI image layout (image-spec, image-layout.md). */
export interface ImageLayout {
  readonly storage: Storage;
  /** `index.json`. */
  readonly index: Index;
}

/**
 * Opens a layout: a directory, or a tar archive of one. The caller closes `storage`.
 *
 * @param path where it is
 * @throws Error in one line when there is no layout, saying what is there instead
 */
export async function openLayout(path: string): Promise<ImageLayout> {
  const storage = openStorage(path);
  try {
    await checkMarker(storage);
    return { storage, index: await readIndex(storage) };
  } catch (error) {
    storage.close();
    throw error;
  }
}

/**
 * Opens a directory or a tar archive, whatever is in it. The caller closes it.
 *
 * @throws Error in one line for what is neither
 */
export function openStorage(path: string): Storage {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw new Error(`cannot open the image layout ${path}: ${reason(error)}`, { cause: error });
  }
  try {
    const status = fstatSync(fd);
    if (status.isDirectory()) return directoryStorage(path, fd);
    if (!status.isFile()) throw new Error('neither a directory nor a file');
    const compression = compressionOf(fd);
    if (compression !== undefined)
      throw new Error(`compressed with ${compression}: decompress it first`);
    return archiveStorage(path, fd);
  } catch (error) {
    closeSync(fd);
    throw new Error(`${path} is not an image layout: ${reason(error)}`, {
      cause: error,
    });
  }
}

/** A layout in an archive is read in place, which a compressed one does not allow. */
function compressionOf(fd: number): string | undefined {
  const head = Buffer.alloc(6);
  readSync(fd, head, 0, head.length, 0);
  const magic = head.toString('hex');
  if (magic.startsWith('1f8b')) return 'gzip';
  if (magic.startsWith('28b52ffd')) return 'zstd';
  if (magic.startsWith('425a68')) return 'bzip2';
  return magic.startsWith('fd377a585a00') ? 'xz' : undefined;
}

async function checkMarker(storage: Storage): Promise<void> {
  const file = `${storage.path}: oci-layout`;
  const bytes = await readNamed(storage, 'oci-layout');
  if (bytes === undefined)
    throw new Error(
      `${storage.path} is not an image layout: it has no file oci-layout${hint(storage)}`,
    );
  const marker = parseJson(bytes.toString(), file);
  const violations = validateLayout(marker);
  if (violations.length > 0) throw new Error(formatViolations(file, violations));
}

async function readIndex(storage: Storage): Promise<Index> {
  const file = `${storage.path}: index.json`;
  const bytes = await readNamed(storage, 'index.json');
  if (bytes === undefined)
    throw new Error(`${storage.path} is not a complete image layout: it has no index.json`);
  const index = parseJson(bytes.toString(), file);
  const violations = validateIndex(index);
  if (violations.length > 0) throw new Error(formatViolations(file, violations));
  return index as unknown as Index;
}

/** What a thing that is no layout looks like, and how it becomes one. */
function hint(storage: Storage): string {
  const names = storage.topLevel();
  const has = (...wanted: string[]) => wanted.every((name) => names.includes(name));
  if (names.length === 0) return ' (it is empty)';
  if (has('version', 'manifest.json'))
    return `; it looks like skopeo's "dir" format (skopeo copy dir:${storage.path} oci:LAYOUT:latest makes a layout of it)`;
  if (has('manifest.json') || has('repositories'))
    return `; it looks like an archive of docker save, which docker-archive:${storage.path} names`;
  if (has('config.json', 'rootfs')) return '; it looks like a bundle, already unpacked';
  if (has('index.json', 'blobs')) return ', though it has index.json and blobs';
  if (has('etc', 'usr')) return '; it looks like a root filesystem';
  return '';
}
