import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { reason } from '../../runtime/linux/reason.ts';
import { whyOpen } from '../files/ownership.ts';
import { replaceFile, syncDirectory } from '../files/replace-file.ts';
import { STORE } from './files.ts';
import { withLock } from './lock.ts';

/** What must be in nobody else's hands. */
const PARTS = [STORE.blobs, STORE.layers, STORE.leases, STORE.temporary] as const;

const DIRECTORIES = [`${STORE.blobs}/sha256`, STORE.layers, STORE.leases, STORE.temporary];

/**
 * Makes the store where there is none yet; what is missing of one is added. A layout that another
 * tool made becomes a store in this way.
 *
 * @throws Error in one line when something else is there, nothing can be written there, or others
 *   can
 */
export async function initialise(path: string): Promise<void> {
  if (isComplete(path)) {
    checkOwner(path);
    return;
  }
  try {
    // Only its owner may see images, some of which are private, and run the programs in layers.
    mkdirSync(path, { recursive: true, mode: 0o700 });
    refuseForeign(path);
    closeToOthers(path);
    closeSync(openSync(join(path, STORE.lock), 'a', 0o600));
    await withLock(path, 'exclusive', () => complete(path));
  } catch (error) {
    const why = reason((error as Error).cause ?? error);
    throw new Error(`cannot make the image store ${path}: ${why}`, { cause: error });
  }
  checkOwner(path);
}

/** A volume, or a file system in memory, is often open to all at first. */
function closeToOthers(path: string): void {
  const { uid, mode } = statSync(path);
  if (uid === process.geteuid?.()) chmodSync(path, mode & 0o7755);
}

/**
 * Programs of its layers are run, so nobody else may change what is there.
 *
 * @throws Error in one line
 */
export function checkOwner(path: string): void {
  if (!existsSync(path)) return;
  const real = realpathSync(path);
  for (const directory of [real, ...PARTS.map((name) => join(real, name))]) {
    const status = lstatSync(directory, { throwIfNoEntry: false });
    const why = status && whyOpen(status);
    if (why !== undefined)
      throw new Error(
        `${directory} ${why}: the image store ${path} cannot be trusted; it must be the caller's, and writable by nobody else (chown, chmod), or choose another --store`,
      );
  }
}

function isComplete(path: string): boolean {
  return [STORE.marker, STORE.index, STORE.lock, ...DIRECTORIES].every((name) =>
    existsSync(join(path, name)),
  );
}

function complete(path: string): void {
  for (const name of DIRECTORIES) mkdirSync(join(path, name), { recursive: true, mode: 0o700 });
  const temporary = join(path, STORE.temporary, STORE.index);
  if (!existsSync(join(path, STORE.index)))
    replaceFile(join(path, STORE.index), temporary, '{"schemaVersion":2,"manifests":[]}');
  if (!existsSync(join(path, STORE.marker)))
    replaceFile(join(path, STORE.marker), temporary, '{"imageLayoutVersion":"1.0.0"}');
  syncDirectory(join(path, '..'));
}

/** @throws Error for a directory with somebody's files */
function refuseForeign(path: string): void {
  const names = readdirSync(path);
  const ours: readonly string[] = Object.values(STORE);
  const foreign = names.find((name) => !ours.includes(name));
  if (names.includes(STORE.marker) || foreign === undefined) return;
  throw new Error(
    `the directory has other files, such as ${JSON.stringify(foreign)}: choose an empty one, or an OCI image layout`,
  );
}
