import { POLL, SIG } from '../linux/constants.ts';
import { errnoCode } from '../linux/errno.ts';
import { closeSync, readFileSync } from '../linux/files.ts';
import { waitFor } from '../linux/poll.ts';
import { codeOf } from '../linux/reason.ts';
import { SyscallError, trySyscall } from '../linux/syscall.ts';

const EINVAL = errnoCode('EINVAL');
const ESRCH = errnoCode('ESRCH');

/** A process, told apart from a later one that was given the same PID. */
export interface ProcessId {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot, see proc(5). */
  readonly startTime: string;
}

/**
 * The start time of a living process.
 *
 * @returns field 22 of /proc/PID/stat, or undefined when there is no such process or it is a
 *   zombie: what has exited can neither be signalled nor waited for by us
 */
export function startTimeOf(pid: number): string | undefined {
  const fields = statOf(pid);
  const state = fields?.[0];
  return state === 'Z' || state === 'X' ? undefined : fields?.[19];
}

/** Whether a process waits in the kernel for something to happen: its state is S in proc(5). */
export function isAsleep(pid: number): boolean {
  return statOf(pid)?.[0] === 'S';
}

/** The name of a process or a zombie, as `comm` in proc(5) has it; undefined when it is gone. */
export function nameOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd();
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}

/** The fields of /proc/PID/stat from the state (number 3) on; undefined without such a process. */
function statOf(pid: number): string[] | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
  // The second field, the command's name, may itself contain spaces and parentheses.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** The identity of the process that runs this code. */
export function thisProcess(): ProcessId {
  const startTime = startTimeOf(process.pid);
  if (startTime === undefined)
    throw new Error(`/proc has no process ${process.pid}: is it mounted?`);
  return { pid: process.pid, startTime };
}

/** Whether that very process lives; a zombie does not. */
export function isAlive(id: ProcessId): boolean {
  return id.pid > 0 && startTimeOf(id.pid) === id.startTime;
}

/**
 * Opens a descriptor of a living process, calls `use` with it and closes it.
 *
 * @returns what `use` returned, or undefined when the process is gone
 */
export function withPidfd<T>(id: ProcessId, use: (pidfd: number) => T): T | undefined {
  if (id.pid <= 0) return undefined;
  const pidfd = trySyscall('pidfd_open', id.pid, 0);
  // EINVAL: the PID is now that of a thread.
  if (pidfd === -ESRCH || pidfd === -EINVAL) return undefined;
  if (pidfd < 0) throw new SyscallError('pidfd_open', [id.pid, 0], -pidfd);
  try {
    // Only now, with a descriptor that no other process can take over, the check is final.
    return isAlive(id) ? use(pidfd) : undefined;
  } finally {
    closeSync(pidfd);
  }
}

/**
 * Opens a descriptor of a child that this process has just come by. One that can't be had is ended: as
 * long as nobody waits for it, it holds up the PID namespace that it is in.
 *
 * @throws SyscallError
 */
export function pidfdOfChild(pid: number): number {
  const pidfd = trySyscall('pidfd_open', pid, 0);
  if (pidfd >= 0) return pidfd;
  trySyscall('kill', pid, SIG.KILL);
  trySyscall('wait4', pid, 0, 0, 0);
  throw new SyscallError('pidfd_open', [pid, 0], -pidfd);
}

/**
 * Sends a signal to that very process, and never to another that took its PID.
 *
 * @returns false when the process is gone
 * @throws SyscallError for a signal number that the kernel does not know, or a lack of permission
 */
export function signalProcess(id: ProcessId, signal: number): boolean {
  const sent = withPidfd(id, (pidfd) => {
    const result = trySyscall('pidfd_send_signal', pidfd, signal, 0, 0);
    if (result === -ESRCH) return false;
    if (result < 0) throw new SyscallError('pidfd_send_signal', [pidfd, signal, 0, 0], -result);
    return true;
  });
  return sent ?? false;
}

/**
 * Waits until a process, which need not be a child, has exited.
 *
 * @param milliseconds the longest wait; Infinity waits for ever
 * @returns false when it still lives after that time
 */
export function waitForExit(id: ProcessId, milliseconds: number): boolean {
  const exited = withPidfd(id, (pidfd) => waitFor(pidfd, POLL.IN, milliseconds) !== 0);
  return exited ?? true;
}
