import { PROGRESS as PAGE } from '../init/protocol.ts';
import { AT, F, MFD, O, S } from '../linux/constants.ts';
import { closeSync, openSync, readSync, writeFileSync, writeSync } from '../linux/files.ts';
import { join } from '../linux/path.ts';
import { waitFor } from '../linux/poll.ts';
import { pipe } from '../linux/socket.ts';
import { syscall } from '../linux/syscall.ts';
import { GO } from '../plan/program.ts';
import { FIFO, PROGRESS, type Progress, parseProgress, readProgress } from './state.ts';
import { cannotKeep } from './store.ts';

const OWNER_ONLY = 0o600;

/** The files that scow makes for init. */
export interface InitFiles {
  /** Opens the progress page, or what init waits at, for init: once, and the caller closes it. */
  open(kind: 'progress' | 'fifo'): number;
  /** How far init came. */
  progress(): Progress | undefined;
}

/**
 * Makes the FIFO that a container's init waits at, and the page in which it keeps its place.
 *
 * @param directory the container's state directory
 */
export function makeInitFiles(directory: string): void {
  try {
    syscall('mknodat', AT.FDCWD, join(directory, FIFO), S.IFIFO | OWNER_ONLY, 0);
    writeFileSync(join(directory, PROGRESS), Buffer.alloc(PAGE.size), { mode: OWNER_ONLY });
  } catch (cause) {
    throw cannotKeep(directory, cause);
  }
}

/** Those files, which `start` finds when this process has ended. */
export function stateFiles(directory: string): InitFiles {
  const names = { progress: PROGRESS, fifo: FIFO };
  return {
    open: (kind) => openSync(join(directory, names[kind]), O.RDWR | O.CLOEXEC),
    progress: () => readProgress(directory),
  };
}

/** The files of a process that joins a container; nobody but this process looks at them. */
export class JoiningFiles implements InitFiles {
  readonly #page: number;
  readonly #pipe: { readonly read: number; readonly write: number };

  constructor() {
    this.#page = syscall('memfd_create', 'scow-progress', MFD.CLOEXEC);
    syscall('ftruncate', this.#page, PAGE.size);
    const [read, write] = pipe();
    this.#pipe = { read, write };
  }

  open(kind: 'progress' | 'fifo'): number {
    return kind === 'fifo' ? this.#pipe.read : syscall('fcntl', this.#page, F.DUPFD_CLOEXEC, 0);
  }

  progress(): Progress | undefined {
    const page = Buffer.alloc(PAGE.size);
    readSync(this.#page, page, 0, page.length, 0);
    return parseProgress(page);
  }

  /** Lets the process that waits at the pipe become its program. */
  letGo(): void {
    writeSync(this.#pipe.write, Uint8Array.of(GO));
  }

  /** Waits until that process is its program, or has ended. */
  awaitExecution(): void {
    // Either closes its end of the pipe: no reader is left, which is POLLERR.
    waitFor(this.#pipe.write, 0, Infinity);
  }

  close(): void {
    closeSync(this.#page);
    closeSync(this.#pipe.write);
  }
}
