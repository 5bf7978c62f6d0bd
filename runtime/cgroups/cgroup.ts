import { O } from '../linux/constants.ts';
import {
  chownSync,
  closeSync,
  existsSync,
  listSync,
  openSync,
  readFileSync,
  rmdirSync,
  writeSync,
} from '../linux/files.ts';
import { dirname, join } from '../linux/path.ts';
import { poll } from '../linux/poll.ts';
import { codeOf, reason } from '../linux/reason.ts';
import { syscall } from '../linux/syscall.ts';
import { isGone, readEvents, waitForEvents } from './events.ts';

/** Milliseconds that the kernel gets to freeze, thaw or empty a cgroup. */
const PATIENCE = 10_000;
/** Milliseconds between attempts to remove a cgroup that is busy without a process. */
const BUSY = 10;

/** What the kernel delegates when it does not say (config-linux.md, Cgroup ownership). */
const DELEGATED = ['cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads'];

/**
 * A cgroup by its path, whether it exists or not. It has no other state, so one made
 * from the path in a container's state file serves as well as the one that made it.
 */
export class Cgroup {
  /** Absolute path of its directory. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** The cgroup whose directory is at the absolute path `path`. Nothing is read or made. */
  static at(path: string): Cgroup {
    return new Cgroup(path);
  }

  exists(): boolean {
    return existsSync(join(this.path, 'cgroup.events'));
  }

  /**
   * A close-on-exec O_PATH descriptor of the directory, for clone3's CLONE_INTO_CGROUP
   * (clone(2)) and bpf(2). The caller closes it.
   *
   * @throws SyscallError
   */
  open(): number {
    return syscall('openat', -1, this.path, O.PATH | O.DIRECTORY | O.CLOEXEC, 0);
  }

  /**
   * Moves a process with all its threads into the cgroup (cgroups(7)).
   *
   * @throws Error in one line when the kernel refuses
   */
  addProcess(pid: number): void {
    this.#write('cgroup.procs', String(pid), `move process ${pid} into`);
  }

  /**
   * The PIDs of the processes in the cgroup; none when it does not exist.
   *
   * @param options.recursive include those of the cgroups below it
   * @throws SyscallError
   */
  processes(options: { recursive: boolean }): number[] {
    const pids = readPids(this.path);
    if (!options.recursive) return pids;
    return pids.concat(
      ...children(this.path).map((path) => new Cgroup(path).processes({ recursive: true })),
    );
  }

  /** Whether a live process is in the cgroup or below it. @throws SyscallError */
  populated(): boolean {
    const events = readEvents(this.path);
    return events !== 'gone' && events.populated;
  }

  /**
   * Waits until no live process is in the cgroup or below it.
   *
   * @param limit milliseconds
   * @returns false when the limit passed first
   * @throws SyscallError
   */
  waitUntilEmpty(limit = PATIENCE): boolean {
    return waitForEvents(this.path, ({ populated }) => !populated, limit) !== 'timeout';
  }

  /** Whether this cgroup itself was told to freeze. @throws SyscallError */
  isFrozen(): boolean {
    return isToldToFreeze(this.path);
  }

  /**
   * The path of the cgroup because of which a process that joins this one would freeze:
   * itself or an ancestor. None when it would run.
   *
   * @throws SyscallError
   */
  frozenBy(): string | undefined {
    // The root cgroup has no cgroup.freeze, and neither has what is above the mount point.
    for (let path = this.path; existsSync(join(path, 'cgroup.freeze')); path = dirname(path))
      if (isToldToFreeze(path)) return path;
    return undefined;
  }

  /**
   * Whether the memory limit of the cgroup was in the way of its processes: one was killed, or
   * an allocation failed (cgroup-v2.rst, memory.events).
   */
  ranOutOfMemory(): boolean {
    try {
      const events = readFileSync(join(this.path, 'memory.events'), 'latin1');
      return /^(max|oom|oom_kill) [1-9]/m.test(events);
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }

  /**
   * Freezes every process in and below the cgroup, and waits until they all stand still.
   *
   * @param limit milliseconds
   * @throws Error in one line when they don't in time (one is in an uninterruptible wait);
   *   the cgroup is thawed again then
   */
  freeze(limit = PATIENCE): void {
    this.#write('cgroup.freeze', '1', 'freeze');
    if (waitForEvents(this.path, ({ frozen }) => frozen, limit) !== 'timeout') return;
    const moving = this.processes({ recursive: true }).filter(isUninterruptible);
    this.#write('cgroup.freeze', '0', 'thaw');
    throw new Error(
      `cannot freeze cgroup ${this.path}: its processes still ran after ${limit} ms; ` +
        `in an uninterruptible wait: ${moving.join(', ') || 'none'}`,
    );
  }

  /**
   * Lets the processes in and below the cgroup run again, and waits until they may.
   *
   * @param limit milliseconds
   * @throws Error in one line when an ancestor keeps them frozen
   */
  thaw(limit = PATIENCE): void {
    this.#write('cgroup.freeze', '0', 'thaw');
    const keeper = this.frozenBy();
    if (keeper !== undefined)
      throw new Error(`cgroup ${this.path} stays frozen, because ${keeper} above it is frozen`);
    if (waitForEvents(this.path, ({ frozen }) => !frozen, limit) === 'timeout')
      throw new Error(`cgroup ${this.path} is still frozen ${limit} ms after it was thawed`);
  }

  /**
   * Kills every process in and below the cgroup, frozen ones and those being forked
   * too, by `cgroup.kill`. Returns before they are gone. No error when the cgroup does
   * not exist.
   *
   * On kernels up to 6.18 at least, a process that clone3 puts into a cgroup killed
   * once is killed at birth: never start one in it again.
   *
   * @throws Error in one line when the kernel refuses
   */
  kill(): void {
    try {
      this.#write('cgroup.kill', '1', 'kill the processes of');
    } catch (error) {
      // Also between any look and the write: systemd removes a scope whose last process has ended.
      if (!this.exists()) return;
      if (existsSync(join(this.path, 'cgroup.kill'))) throw error;
      throw new Error(`cgroup ${this.path} has no cgroup.kill: scow needs Linux 5.14 or newer`);
    }
  }

  /**
   * Removes the cgroup and those below it. Processes are not touched: while some are
   * left, it waits for them to end. No error when the cgroup does not exist.
   *
   * @param limit milliseconds to wait for processes
   * @throws Error in one line when processes are still in it at the end, or the kernel refuses
   */
  remove(limit = PATIENCE): void {
    const deadline = performance.now() + limit;
    while (!removeTree(this.path)) {
      const left = deadline - performance.now();
      const empty = this.waitUntilEmpty(Math.max(0, left));
      // One that is empty can be busy all the same, mostly for a moment: with processes that are just
      // ending, a cgroup that is just made in it, or a mount on it.
      if (empty && left > 0) poll([], BUSY);
      else if (left <= 0) throw this.#notRemoved(empty, limit);
    }
  }

  #notRemoved(empty: boolean, limit: number): Error {
    const pids = this.processes({ recursive: true });
    const who = pids.length > 0 ? ` (PID ${pids.join(', ')})` : '';
    const why = empty
      ? `no process is in it, but the kernel still uses it after ${limit} ms (EBUSY): cgroups are being made in it, or something is mounted on it`
      : `processes are still in it after ${limit} ms${who}`;
    return new Error(`cannot remove cgroup ${this.path}: ${why}`);
  }

  /**
   * Gives the cgroup to a user, who can then make cgroups below it and move processes
   * among them: the directory and the files that /sys/kernel/cgroup/delegate lists, and
   * no others (config-linux.md, Cgroup ownership).
   *
   * @param uid the user's ID on the host
   * @throws SyscallError
   */
  delegateTo(uid: number): void {
    chownSync(this.path, uid, -1);
    for (const file of delegatedFiles()) {
      try {
        chownSync(join(this.path, file), uid, -1);
      } catch (error) {
        // Files of controllers that are not enabled here are listed too.
        if (!isGone(error)) throw error;
      }
    }
  }

  #write(file: string, value: string, doing: string): void {
    try {
      // Not writeFileSync: its O_CREAT makes a missing file EACCES or EPERM on cgroupfs.
      const fd = openSync(join(this.path, file), O.WRONLY);
      try {
        writeSync(fd, value);
      } finally {
        closeSync(fd);
      }
    } catch (cause) {
      throw new Error(`cannot ${doing} cgroup ${this.path}: ${file}: ${refusalOf(cause)}`, {
        cause,
      });
    }
  }
}

/** Why nothing can be done with a cgroup that was there just now. */
export const REMOVED = 'it was removed meanwhile, and not by scow';

const THREADED = 'it is a threaded cgroup or below one (EOPNOTSUPP)';

/** What the kernel means where the errno alone does not tell. */
const MEANINGS: Readonly<Record<string, string>> = {
  EBUSY: 'it has controllers enabled for its children, so it takes no processes (EBUSY)',
  EOPNOTSUPP: THREADED,
  // The engines' name for it.
  ENOTSUP: THREADED,
  ENOENT: 'the cgroup does not exist (ENOENT)',
  ENODEV: 'the cgroup was removed (ENODEV)',
};

/** Why a cgroup refuses a process or a write, in words: fit for the end of a sentence. */
export function refusalOf(cause: unknown): string {
  return MEANINGS[codeOf(cause) ?? ''] ?? reason(cause);
}

function readPids(path: string): number[] {
  let text: string;
  try {
    text = readFileSync(join(path, 'cgroup.procs'), 'latin1');
  } catch (error) {
    // The processes of a threaded cgroup are listed by the domain above it; reading it is
    // EOPNOTSUPP, which the engines call ENOTSUP.
    if (isGone(error) || (error as NodeJS.ErrnoException).code === 'EOPNOTSUPP') return [];
    throw error;
  }
  // Processes outside this PID namespace are listed as 0.
  return text
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0);
}

function children(path: string): string[] {
  try {
    return listSync(path)
      .filter((entry) => entry.directory)
      .map((entry) => join(path, entry.name));
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function isToldToFreeze(path: string): boolean {
  try {
    return readFileSync(join(path, 'cgroup.freeze'), 'latin1').startsWith('1');
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

function isUninterruptible(pid: number): boolean {
  try {
    return /^State:\s+D/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

/** Removes a cgroup, its children first. @returns false when one of them was busy */
function removeTree(path: string): boolean {
  if (removeOne(path)) return true;
  // No short cut: each child that can go does, also beside a busy one.
  const removed = children(path).map(removeTree);
  return removed.every(Boolean) && removeOne(path);
}

function removeOne(path: string): boolean {
  try {
    rmdirSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EBUSY' || code === 'ENOTEMPTY') return false;
    if (!isGone(cause))
      throw new Error(`cannot remove cgroup ${path}: ${reason(cause)}`, { cause });
  }
  return true;
}

function delegatedFiles(): readonly string[] {
  try {
    return readFileSync('/sys/kernel/cgroup/delegate', 'latin1').split('\n').filter(Boolean);
  } catch (error) {
    if (isGone(error)) return DELEGATED;
    throw error;
  }
}
