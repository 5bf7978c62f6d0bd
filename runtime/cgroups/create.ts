import { mkdirSync, readFileSync, rmdirSync } from '../linux/files.ts';
import { dirname, join } from '../linux/path.ts';
import { reason } from '../linux/reason.ts';
import { Cgroup } from './cgroup.ts';
import { isGone, readEvents } from './events.ts';

/**
 * The kernel denied making a cgroup: usual for an ordinary user to whom none was
 * delegated. A container that asks for no limits and no `cgroupsPath` may go on without.
 */
export class NoCgroupAccess extends Error {
  /** The cgroup that was to be made. */
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super(
      `no permission to make cgroup ${path} (${(cause as NodeJS.ErrnoException).code}): ` +
        'delegate a cgroup to this user (systemd: Delegate=yes), or run scow as root',
      { cause },
    );
    this.name = 'NoCgroupAccess';
    this.path = path;
  }
}

/** A cgroup that is ready for a new container. */
export interface CreatedCgroup {
  readonly cgroup: Cgroup;
  /** The directories that were made, outermost first; empty when the cgroup existed. */
  readonly created: readonly string[];
}

/**
 * Makes a container's cgroup, with its missing ancestors. One that exists serves only
 * while it is empty and not frozen (config-linux.md, Control groups).
 *
 * @param path absolute path below the mount point of the hierarchy
 * @throws NoCgroupAccess when the kernel denies it for want of permission
 * @throws Error in one line when a process is in the cgroup, it is frozen, or it can't be
 *   made; what was made before is removed again
 */
export function createCgroup(path: string): CreatedCgroup {
  const created: string[] = [];
  try {
    makeDirectory(path, created);
    checkUsable(path, created.includes(path));
  } catch (error) {
    removeCreated(created);
    throw error;
  }
  return { cgroup: Cgroup.at(path), created };
}

/**
 * Removes what `createCgroup` made, innermost first, as far as nobody else uses it by now.
 *
 * @param created of the result of `createCgroup`
 */
export function removeCreated(created: readonly string[]): void {
  for (const path of created.toReversed()) {
    try {
      rmdirSync(path);
    } catch {
      return;
    }
  }
}

function makeDirectory(path: string, created: string[]): void {
  for (let parentMade = false; ; parentMade = true) {
    try {
      mkdirSync(path, 0o755);
      created.push(path);
      return;
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'EEXIST') return;
      if (code !== 'ENOENT' || parentMade || path === '/') throw cannotMake(path, cause);
      makeDirectory(dirname(path), created);
    }
  }
}

function cannotMake(path: string, cause: unknown): Error {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new NoCgroupAccess(path, cause);
  const why =
    code === 'EAGAIN'
      ? 'an ancestor allows no more cgroups: see its cgroup.max.depth and cgroup.max.descendants (EAGAIN)'
      : reason(cause);
  return new Error(`cannot make cgroup ${path}: ${why}`, { cause });
}

/** The first words of its messages are runc's: people and engines look for them. */
function checkUsable(path: string, isNew: boolean): void {
  let events: ReturnType<typeof readEvents>;
  try {
    events = readEvents(path);
  } catch (cause) {
    throw new Error(
      `${path} cannot be used as a cgroup: ${reason(cause)}: choose another linux.cgroupsPath`,
      { cause },
    );
  }
  if (events === 'gone')
    throw new Error(`${path} cannot hold a container: it is no cgroup, or the root cgroup`);
  checkType(path);
  if (events.frozen) throw frozenError(path, Cgroup.at(path).frozenBy() ?? path);
  if (!isNew && events.populated) throw new Error(occupied(path));
}

/** What is told of a cgroup in which init would stand still. @param by the one that was told to freeze */
export function frozenError(path: string, by: string): Error {
  return new Error(
    `container's cgroup unexpectedly frozen: ${path}; thaw ${by} first (write 0 to its cgroup.freeze)`,
  );
}

/** Below a threaded cgroup one is made without complaint, and then takes no process. */
function checkType(path: string): void {
  const type = typeOf(path);
  if (type !== 'threaded' && type !== 'domain invalid') return;
  const what = type === 'threaded' ? 'it is a threaded cgroup' : 'the cgroup above it is threaded';
  throw new Error(
    `${path} cannot hold a container: ${what}, for threads of one process only (cgroup.type); choose another linux.cgroupsPath`,
  );
}

/** @returns undefined for one that is gone, as will be told by whoever uses it */
function typeOf(path: string): string | undefined {
  try {
    return readFileSync(join(path, 'cgroup.type'), 'latin1').trim();
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

function occupied(path: string): string {
  const pids = Cgroup.at(path).processes({ recursive: true });
  const who = pids.length > 0 ? ` (PID ${pids.slice(0, 8).join(', ')})` : '';
  return (
    `container's cgroup is not empty: ${pids.length || 'some'} process(es) are in ${path}${who}; ` +
    'stop them, or choose another linux.cgroupsPath or container ID'
  );
}
