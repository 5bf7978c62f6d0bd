import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { LOCK } from '../../runtime/linux/constants.ts';
import { write } from '../../runtime/linux/output.ts';
import { codeOf } from '../../runtime/linux/reason.ts';
import { syscall, trySyscall } from '../../runtime/linux/syscall.ts';
import { syncDirectory } from '../files/replace-file.ts';
import { RECORD, STORE } from './files.ts';
import { withLock } from './lock.ts';

/** What the lease of a bundle is called in `tmp/` until it is written. */
export const LEASE = 'lease';

/** What somebody uses: as long as it lasts, `prune` and `remove` leave it in the store. */
export interface Lease {
  /**
   * Adds content, before it is looked for or written.
   *
   * @param digests of blobs; what an index or a manifest lists is meant, too, and so are the
   *   unpacked layers of an image
   */
  add(...digests: readonly string[]): Promise<void>;
  /** Ends it. When the process ends, so does it. */
  release(): void;
}

/** A lease as others find it. */
export interface FoundLease {
  readonly file: string;
  readonly digests: readonly string[];
  /** The bundle whose lease it is. */
  readonly bundle: string | undefined;
  /** Whether somebody still has it: a running process, or a bundle that exists. */
  readonly alive: boolean;
}

/**
 * Takes a lease of the running process: a file that is locked (flock(2)) while it lasts. Whoever
 * finds it unlocked knows that its process died.
 *
 * @param find says what to hold; while it looks for that, nothing is removed
 */
export async function takeLease(
  store: string,
  find: () => Promise<readonly string[]>,
): Promise<Lease> {
  const path = join(store, STORE.leases, `process-${randomBytes(8).toString('hex')}`);
  // Dead leases are removed under the exclusive lock: none can be taken for dead before its flock.
  const fd = await withLock(store, 'shared', () => {
    const made = openSync(path, 'wx', 0o600);
    syscall('flock', made, LOCK.EX | LOCK.NB);
    return made;
  });
  const release = () => {
    rmSync(path, { force: true });
    closeSync(fd);
  };
  try {
    await withLock(store, 'shared', async () => appendLines(fd, await find()));
  } catch (error) {
    release();
    throw error;
  }
  return { add: (...more) => withLock(store, 'shared', () => appendLines(fd, more)), release };
}

/**
 * Takes the lease of a bundle, which lasts until the bundle is gone. It may be taken before the
 * bundle is in its place: until `release` the running process has it.
 *
 * @param bundle absolute path
 */
export async function takeBundleLease(
  store: string,
  bundle: string,
  digests: readonly string[],
): Promise<Lease> {
  const path = bundleLeaseFile(store, bundle);
  const fd = await withLock(store, 'exclusive', () => {
    // Of two that make the same bundle at once, one will fail: nobody knows yet which.
    const other = existsSync(path) ? readLease(path) : undefined;
    const all = new Set([...(other?.alive ? other.digests : []), ...digests]);
    const temporary = join(store, STORE.temporary, LEASE);
    const made = openSync(temporary, 'w', 0o600);
    syscall('flock', made, LOCK.EX | LOCK.NB);
    appendLines(made, [JSON.stringify(bundle), ...all]);
    fsyncSync(made);
    renameSync(temporary, path);
    syncDirectory(join(store, STORE.leases));
    return made;
  });
  return {
    add: (...more) =>
      withLock(store, 'shared', () => {
        appendLines(fd, more);
        fsyncSync(fd);
      }),
    release: () => closeSync(fd),
  };
}

/** Ends the lease of a bundle that is about to vanish; nothing happens if it has none. */
export function dropBundleLease(store: string, bundle: string): void {
  rmSync(bundleLeaseFile(store, bundle), { force: true });
}

/** Removes the leases of processes that died and of bundles that are gone. Locked exclusive. */
export function dropDeadLeases(store: string): void {
  for (const { file, alive } of findLeases(store)) if (!alive) rmSync(file, { force: true });
}

/** All leases. The caller holds the store's lock, exclusive. */
export function findLeases(store: string): FoundLease[] {
  const directory = join(store, STORE.leases);
  if (!existsSync(directory)) return [];
  return readdirSync(directory).flatMap((name) => readLease(join(directory, name)) ?? []);
}

function readLease(file: string): FoundLease | undefined {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    // Its owner has just released it.
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    // A line that was cut off belongs to somebody who was killed before using what it names.
    const lines = readFileSync(fd, 'utf8').split('\n').slice(0, -1);
    const [head] = lines;
    const bundle = head?.startsWith('"') ? (JSON.parse(head) as string) : undefined;
    const held = trySyscall('flock', fd, LOCK.SH | LOCK.NB) < 0;
    return {
      file,
      digests: bundle === undefined ? lines : lines.slice(1),
      bundle,
      alive: held || (bundle !== undefined && existsSync(join(bundle, RECORD))),
    };
  } finally {
    closeSync(fd);
  }
}

function appendLines(fd: number, lines: readonly string[]): void {
  write(fd, lines.map((line) => `${line}\n`).join(''));
}

function bundleLeaseFile(store: string, bundle: string): string {
  const hash = createHash('sha256').update(bundle).digest('hex');
  return join(store, STORE.leases, `bundle-${hash}`);
}
