import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsync,
  ftruncateSync,
  openSync,
  rmSync,
  statSync,
  write,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LOCK } from '../../runtime/linux/constants.ts';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { trySyscall } from '../../runtime/linux/syscall.ts';
import { parseDigest } from '../image/digest.ts';
import { STORE } from './files.ts';

const writeAt = promisify(write);
const sync = promisify(fsync);

/** Milliseconds for which what a killed process left of a blob waits to be continued: a day. */
const KEPT = 24 * 60 * 60 * 1000;

/** A blob that is being written: a file of `tmp/`, locked by its writer (flock(2)). */
export interface Partial {
  readonly path: string;
  readonly fd: number;
}

/**
 * Opens the file for a blob that is to be written: what an earlier writer left of it, or an empty
 * one. While another process writes the same blob, it is a file of another name.
 */
export function openPartial(store: string, digest: string): Partial {
  const { algorithm, encoded } = parseDigest(digest);
  const path = join(store, STORE.temporary, `${algorithm}-${encoded}`);
  return openLocked(path) ?? ownFile(path);
}

function ownFile(path: string): Partial {
  for (;;) {
    const file = openLocked(`${path}.${randomBytes(4).toString('hex')}`);
    if (file !== undefined) return file;
  }
}

/** @returns undefined when another has it */
function openLocked(path: string): Partial | undefined {
  for (;;) {
    const fd = openSync(path, 'a+', 0o644);
    const taken = trySyscall('flock', fd, LOCK.EX | LOCK.NB) < 0;
    // Before it was locked it may have been finished, or removed as a left-over.
    if (!taken && isAt(fd, path)) return { path, fd };
    closeSync(fd);
    if (taken) return undefined;
  }
}

function isAt(fd: number, path: string): boolean {
  return fstatSync(fd).ino === statSync(path, { throwIfNoEntry: false })?.ino;
}

/** Whether a name in `tmp/` is one of these. */
export function isPartial(name: string): boolean {
  return /^sha(?:256|512)-[0-9a-f]+(?:\.[0-9a-f]{8})?$/.test(name);
}

/** Removes it. The caller has it open, and so locked. */
export function removePartial({ path }: Partial): void {
  rmSync(path, { force: true });
}

/**
 * Takes what is left of a blob whose writer died.
 *
 * @param all whether also what may still be continued
 * @returns undefined while somebody writes it, or may continue it
 */
export function takeStalePartial(path: string, all: boolean): Partial | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const own = path.includes('.', path.lastIndexOf('/'));
  const stale = all || own || Date.now() - fstatSync(fd).mtimeMs >= KEPT;
  // Once it is ours, nobody else renames or removes it; before, somebody may have.
  if (stale && trySyscall('flock', fd, LOCK.EX | LOCK.NB) === 0 && isAt(fd, path))
    return { path, fd };
  closeSync(fd);
  return undefined;
}

/**
 * Writes what follows the first bytes of a blob, and waits until all is on the disk.
 *
 * @param from how many bytes to keep
 * @param what how to call it in an error
 * @throws Error in one line when it cannot be written, or that of `content`
 */
export async function append(
  { fd }: Partial,
  from: number,
  content: AsyncIterable<Uint8Array>,
  what: string,
): Promise<void> {
  const attempt = <T>(work: Promise<T>) =>
    work.catch((error: unknown) => {
      throw new Error(`cannot write ${what}: ${reason(error)}`, { cause: error });
    });
  ftruncateSync(fd, from);
  for await (const chunk of content)
    for (let done = 0; done < chunk.byteLength; )
      done += (await attempt(writeAt(fd, chunk, done, chunk.byteLength - done))).bytesWritten;
  await attempt(sync(fd));
}
