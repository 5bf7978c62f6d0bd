import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { LOCK } from '../../runtime/linux/constants.ts';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { trySyscall } from '../../runtime/linux/syscall.ts';
import type { Descriptor, Index } from '../../schemas/image.ts';
import { formatViolations, parseJson, validateIndex } from '../../schemas/validate-image.ts';
import { replaceFile, syncDirectory } from '../files/replace-file.ts';
import {
  discard,
  isTemporary,
  makeTemporary,
  removeStale,
  type Temporary,
} from '../files/temporary.ts';
import { parseDigest } from '../image/digest.ts';
import type { ImageDestination } from '../image/source.ts';
import { append } from '../store/partial.ts';
import { withImage, withReferrers } from './index-entries.ts';

const PREFIX = '.scow-';
const MARKER = '{"imageLayoutVersion":"1.0.0"}';

/**
 * Writes an image into an OCI image layout, which is made where there is none. Other images
 * there stay. The image is seen when all of it is there, under its tag, and not before.
 *
 * @param path a directory: a layout, empty, or not there yet
 * @param tag what it is called in the layout
 * @throws Error in one line when something else is there, or nothing can be written there
 */
export function layoutDestination(path: string, tag: string): ImageDestination {
  const { made, temporary } = prepare(path);
  let finished = false;
  const attached: Descriptor[] = [];
  return {
    name: `${path}:${tag}`,
    async has({ digest, size }) {
      return statSync(blobFile(path, digest), { throwIfNoEntry: false })?.size === size;
    },
    async write(descriptor, content) {
      const target = blobFile(path, descriptor.digest);
      const file = join(path, temporary.name, descriptor.digest);
      try {
        await writeFile(file, content, `${descriptor.digest} to the image layout ${path}`);
        mkdirSync(dirname(target), { recursive: true });
        renameSync(file, target);
      } catch (error) {
        rmSync(file, { force: true });
        throw told(error, path);
      }
    },
    async attach(referrer) {
      attached.push(referrer);
    },
    async finish(root) {
      try {
        addToIndex(path, temporary, (index) =>
          withReferrers(withImage(index, root, tag), attached),
        );
      } catch (error) {
        throw told(error, path);
      }
      finished = true;
    },
    async close() {
      discard(temporary);
      if (made && !finished) removeUnfinished(path);
    },
  };
}

/** @returns `made`: whether there was nothing before */
function prepare(path: string): { made: boolean; temporary: Temporary } {
  try {
    const made = mkdirSync(path, { recursive: true }) !== undefined;
    removeStale(path, PREFIX);
    const names = readdirSync(path).filter((name) => !isTemporary(name, PREFIX));
    if (names.length > 0 && !existsSync(join(path, 'oci-layout')) && names.join() !== 'blobs')
      throw new Error(`${path} has other files, and is no OCI image layout: choose another place`);
    mkdirSync(join(path, 'blobs/sha256'), { recursive: true });
    return { made, temporary: makeTemporary(path, PREFIX) };
  } catch (error) {
    throw told(error, path);
  }
}

async function writeFile(
  path: string,
  content: AsyncIterable<Uint8Array>,
  what: string,
): Promise<void> {
  const fd = openSync(path, 'wx', 0o666);
  try {
    await append({ path, fd }, 0, content, what);
  } finally {
    closeSync(fd);
  }
}

/** One after the other: whoever adds an image keeps those that others add. */
function addToIndex(path: string, { name }: Temporary, add: (index: Index) => Index): void {
  const directory = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    trySyscall('flock', directory, LOCK.EX);
    for (const algorithm of readdirSync(join(path, 'blobs')))
      syncDirectory(join(path, 'blobs', algorithm));
    const temporary = join(path, name, 'file');
    const index = add(readIndexFile(path));
    if (!existsSync(join(path, 'oci-layout')))
      replaceFile(join(path, 'oci-layout'), temporary, MARKER);
    replaceFile(join(path, 'index.json'), temporary, JSON.stringify(index));
  } finally {
    closeSync(directory);
  }
}

function readIndexFile(path: string): Index {
  const file = join(path, 'index.json');
  if (!existsSync(file)) return { schemaVersion: 2, manifests: [] };
  const index = parseJson(readFileSync(file, 'utf8'), file);
  const violations = validateIndex(index);
  if (violations.length > 0) throw new Error(formatViolations(file, violations));
  return index as unknown as Index;
}

/** Of a layout that never came to be nothing stays; unless somebody else is at it. */
function removeUnfinished(path: string): void {
  if (readdirSync(path).join() !== 'blobs') return;
  rmSync(join(path, 'blobs'), { recursive: true, force: true });
  try {
    rmdirSync(path);
  } catch {
    // Somebody else put something there.
  }
}

function blobFile(path: string, digest: string): string {
  const { algorithm, encoded } = parseDigest(digest);
  return join(path, 'blobs', algorithm, encoded);
}

function told(error: unknown, path: string): Error {
  // What has no errno speaks for itself.
  if (codeOf(error) === undefined) return error as Error;
  return new Error(`cannot write the image layout ${path}: ${reason(error)}`, { cause: error });
}
