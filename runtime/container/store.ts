import { parseJson } from '../../schemas/parse-json.ts';
import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { LOCK, O } from '../linux/constants.ts';
import { errnoCode } from '../linux/errno.ts';
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  listSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statIfThere,
  unlinkIfThere,
  writeFileSync,
} from '../linux/files.ts';
import { dirname, join } from '../linux/path.ts';
import { reason } from '../linux/reason.ts';
import { SyscallError, trySyscall } from '../linux/syscall.ts';
import { CONFIG, type ContainerState, STATE_FILE } from './state.ts';

const EINTR = errnoCode('EINTR');
const EAGAIN = errnoCode('EAGAIN');

/** A container that is not (or no longer) there. Engines look for these very words. */
export class NoSuchContainer extends Error {
  constructor(id: string, root: string) {
    super(`container does not exist: there is no ${JSON.stringify(id)} in ${root}`);
    this.name = 'NoSuchContainer';
  }
}

/** What the names of shared directories begin with, and no container ID has. */
const SHARED = '@';

/** A container's lock, held by this process until it is released or the process ends. */
export interface Lock {
  release(): void;
}

/**
 * Refuses what is no container ID: it is one name of a file, of letters, digits and `_+,-.`.
 *
 * @throws Error that says what is wrong with it
 */
export function validateId(id: string): void {
  if (id === '') throw new Error('invalid container ID: it is empty');
  if (id.length > 255)
    throw new Error(`invalid container ID: it has ${id.length} characters, 255 are allowed`);
  if (!/^[A-Za-z0-9_+,.-]+$/.test(id) || id === '.' || id === '..')
    throw new Error(
      `invalid container ID ${JSON.stringify(id)}: use letters, digits and the characters _ + , - .`,
    );
}

/** The directory in which every container has a directory of its own with its state. */
export class ContainerStore {
  readonly root: string;

  /** @param root absolute path; it need not exist before the first container is created */
  constructor(root: string) {
    this.root = root;
  }

  /**
   * The container's own directory, whether it exists or not.
   *
   * @throws Error for an invalid ID
   */
  directory(id: string): string {
    validateId(id);
    return join(this.root, id);
  }

  /**
   * Reserves an ID: makes the container's directory, and its parents if need be.
   *
   * @returns the container's lock, held
   * @throws Error when the ID is invalid or taken
   */
  create(id: string): Lock {
    const directory = this.directory(id);
    this.#makeRoot();
    try {
      mkdirSync(directory, 0o700);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cannotKeep(directory, cause);
      throw new Error(
        `container with ID ${JSON.stringify(id)} already exists in ${this.root}: choose another ID or delete it`,
        { cause },
      );
    }
    // Whoever finds a container without a state, such as a start, lets its lock go at once.
    const lock = this.#lock(id, LOCK.EX);
    if (lock === undefined)
      throw new Error(`container ${JSON.stringify(id)} was deleted while it was being created`);
    return lock;
  }

  /** A directory for what containers share. No container can have its name. */
  shared(name: string): string {
    return join(this.root, `${SHARED}${name}`);
  }

  /** Makes such a directory if it is not there. @throws Error when it can't be made */
  makeShared(name: string): void {
    this.#makeRoot();
    makeDirectories(this.shared(name));
  }

  #makeRoot(): void {
    try {
      if (!makeDirectories(this.root)) return;
    } catch (cause) {
      throw new Error(
        `cannot make ${this.root}, the place of all containers' state: ${reason(cause)}; --root names another`,
        { cause },
      );
    }
    // The sticky bit keeps the XDG runtime directory's clean-up away (XDG Base Directory spec).
    const runtimeDirectory = process.env.XDG_RUNTIME_DIR;
    if (runtimeDirectory && this.root.startsWith(`${runtimeDirectory}/`))
      chmodSync(this.root, 0o1700);
  }

  /** Writes a container's state: a reader sees either the old one or this one, whole. */
  write(state: ContainerState): void {
    const file = join(this.directory(state.id), STATE_FILE);
    try {
      writeFileSync(`${file}.new`, `${JSON.stringify(state, withoutBigint)}\n`, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch (cause) {
      throw cannotKeep(file, cause);
    }
  }

  /**
   * Reads a container's state.
   *
   * @throws NoSuchContainer when it is not there
   * @throws Error when the ID is invalid or the file damaged
   */
  read(id: string): ContainerState {
    const file = join(this.directory(id), STATE_FILE);
    const text = this.#readText(id, file);
    try {
      return JSON.parse(text) as ContainerState;
    } catch (cause) {
      throw new Error(`${file} is damaged: ${(cause as Error).message}`, { cause });
    }
  }

  /**
   * Keeps the configuration that a container is created with: the bundle's may change later.
   *
   * @param text the text of a valid config.json, which keeps what JSON.stringify would round
   */
  keepConfig(id: string, text: string): void {
    const file = join(this.directory(id), CONFIG);
    try {
      writeFileSync(file, text, { mode: 0o600 });
    } catch (cause) {
      throw cannotKeep(file, cause);
    }
  }

  /**
   * Reads the configuration that a container was created with. It is valid: it was checked then.
   *
   * @throws NoSuchContainer when it is not there
   * @throws Error when the ID is invalid or the file damaged
   */
  readConfig(id: string): RuntimeConfig {
    const file = join(this.directory(id), CONFIG);
    return parseJson(this.#readText(id, file), file) as RuntimeConfig;
  }

  /** The IDs of all containers, in order of their characters; none when the root is not there. */
  list(): string[] {
    let entries: ReturnType<typeof listSync>;
    try {
      entries = listSync(this.root);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new Error(`cannot list the containers in ${this.root}: ${reason(error)}`, {
        cause: error,
      });
    }
    return entries
      .filter((entry) => entry.directory && !entry.name.startsWith(SHARED))
      .map((entry) => entry.name)
      .sort();
  }

  /**
   * Removes a container's directory. The state goes last, so that a removal that was cut short
   * leaves a container that can be deleted again.
   */
  remove(id: string): void {
    const directory = this.directory(id);
    for (const entry of listSync(directory))
      if (entry.name !== STATE_FILE) remove(join(directory, entry.name), entry.directory);
    unlinkIfThere(join(directory, STATE_FILE));
    rmdirSync(directory);
  }

  /**
   * Waits for a container's lock: whoever changes a container's state holds it meanwhile.
   *
   * @throws NoSuchContainer when the container is not there, or was deleted while we waited
   */
  lock(id: string): Lock {
    for (;;) {
      const lock = this.#lock(id, LOCK.EX);
      if (lock !== undefined) return lock;
    }
  }

  /**
   * Takes a container's lock when it is free.
   *
   * @returns undefined when another process holds it, or just deleted the container
   * @throws NoSuchContainer when the container is not there
   */
  tryLock(id: string): Lock | undefined {
    return this.#lock(id, LOCK.EX | LOCK.NB);
  }

  #readText(id: string, file: string): string {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') throw new NoSuchContainer(id, this.root);
      throw error;
    }
  }

  // The directory itself is what is locked: it comes and goes with the container in one step.
  #lock(id: string, operation: number): Lock | undefined {
    const directory = this.directory(id);
    let fd: number;
    try {
      fd = openSync(directory, O.RDONLY | O.DIRECTORY | O.CLOEXEC);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') throw new NoSuchContainer(id, this.root);
      throw error;
    }
    let locked = false;
    try {
      locked = flock(fd, operation) && isStillAt(fd, directory);
    } finally {
      // Held on, it would be in our own way when the container is deleted.
      if (!locked) closeSync(fd);
    }
    return locked ? { release: () => closeSync(fd) } : undefined;
  }
}

/** @param file a file of a container's state, or its directory */
export function cannotKeep(file: string, cause: unknown): Error {
  return new Error(
    `cannot keep the container's state in ${file}: ${reason(cause)}; --root names another place`,
    { cause },
  );
}

/** A config.json may hold integers that JSON.stringify refuses, such as a timeout of a hook. */
function withoutBigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

/**
 * Makes a directory and what is missing above it. Not by `recursive` of mkdirSync: below /proc,
 * where nothing can be made, Node.js 20 tries for ever.
 *
 * @returns false when it was there
 */
function makeDirectories(path: string): boolean {
  if (statIfThere(path)?.isDirectory()) return false;
  const parent = dirname(path);
  if (!existsSync(parent)) makeDirectories(parent);
  try {
    mkdirSync(path, 0o700);
  } catch (error) {
    // Another scow may have made it meanwhile.
    const made = statIfThere(path)?.isDirectory() ?? false;
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !made) throw error;
  }
  return true;
}

/** What is in a container's directory: files, and a directory of sockets. */
function remove(path: string, directory: boolean): void {
  if (!directory) {
    unlinkIfThere(path);
    return;
  }
  for (const entry of listSync(path)) remove(join(path, entry.name), entry.directory);
  rmdirSync(path);
}

function flock(fd: number, operation: number): boolean {
  for (;;) {
    const result = trySyscall('flock', fd, operation);
    if (result === 0) return true;
    if (result === -EAGAIN) return false;
    if (result !== -EINTR) throw new SyscallError('flock', [fd, operation], -result);
  }
}

/** Whether a directory was not removed, and perhaps made anew, while its lock was waited for. */
function isStillAt(fd: number, directory: string): boolean {
  const held = fstatSync(fd);
  const there = statIfThere(directory);
  return there !== undefined && there.identity === held.identity;
}
