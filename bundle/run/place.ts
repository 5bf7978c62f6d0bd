import {
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { reason } from '../../runtime/linux/reason.ts';
import { deleteBundle } from '../existing/delete.ts';
import { endContainers } from '../existing/in-use.ts';
import { hasRecord } from '../existing/record.ts';
import {
  discard,
  isTemporary,
  lockStale,
  makeTemporary,
  type Temporary,
} from '../files/temporary.ts';
import { STORE } from '../store/files.ts';

const PREFIX = 'run-';
const BUNDLE = 'bundle';
/** The file that says which `--root` of scow's the container is in, unless it is the default. */
const ROOT = 'root';

/** Where the bundle of a run is. */
export interface Place {
  readonly bundle: string;
  /** A name that no other run has at the moment. */
  readonly id: string;
  /** Removes what is not to be kept. @throws Error in one line */
  leave(): void;
}

/** A place that lasts as long as the run. @param root value of scow's `--root` */
export function temporaryPlace(store: string, root: string | undefined): Place {
  const parent = join(store, STORE.runs);
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  const temporary = makeTemporary(parent, PREFIX);
  const path = join(parent, temporary.name);
  if (root !== undefined) writeFileSync(join(path, ROOT), resolve(root));
  return { bundle: join(path, BUNDLE), id: temporary.name, leave: () => remove(temporary) };
}

/** A place that stays. @throws Error in one line where there is a bundle of that name */
export function lastingPlace(store: string, name: string): Place {
  const parent = join(store, STORE.bundles);
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  const bundle = join(parent, name);
  if (existsSync(bundle))
    throw new Error(`${bundle} exists: choose another --name, or scow-bundle delete ${bundle}`);
  return { bundle, id: name, leave() {} };
}

/** Ends the containers of runs that were killed; what remains of them is for `removeStaleRuns`. */
export function endStaleContainers(store: string): void {
  for (const { parent, name, lock } of staleRuns(store)) {
    const path = join(parent, name);
    try {
      if (hasRecord(join(path, BUNDLE)))
        endContainers(realpathSync(join(path, BUNDLE)), rootOf(path));
    } catch {
      // `removeStaleRuns` says why.
    } finally {
      closeSync(lock);
    }
  }
}

/**
 * Removes what runs have left that were killed, with containers that are still running: nobody
 * waits for them.
 *
 * @param warn hears what could not be removed
 */
export function removeStaleRuns(store: string, warn: (line: string) => void): void {
  for (const temporary of staleRuns(store)) {
    try {
      remove(temporary);
    } catch (error) {
      warn(`what a run has left that was killed stays: ${reason(error)}`);
    }
  }
}

function* staleRuns(store: string): Generator<Temporary> {
  const parent = join(store, STORE.runs);
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent).filter((other) => isTemporary(other, PREFIX))) {
    const lock = lockStale(join(parent, name));
    if (lock !== undefined) yield { parent, name, lock };
  }
}

function remove(temporary: Temporary): void {
  const path = join(temporary.parent, temporary.name);
  const bundle = join(path, BUNDLE);
  if (hasRecord(bundle)) deleteBundle(bundle, { force: true, root: rootOf(path) });
  discard(temporary);
}

function rootOf(path: string): string | undefined {
  const file = join(path, ROOT);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}
