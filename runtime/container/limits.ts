import type { Process } from '../../schemas/runtime-config.ts';
import { inheritedNofile, type Limit } from '../launcher/environment.ts';
import { explainErrno } from '../linux/errno.ts';
import { writeFileSync } from '../linux/files.ts';
import { codeOf, reason } from '../linux/reason.ts';
import { type SyscallError, syscall, trySyscall, writeWord } from '../linux/syscall.ts';

const NOFILE = 7;

/** prlimit(2) */
const RESOURCES: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: NOFILE,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
};

/**
 * Sets init's resource limits from outside: an init in a user namespace could not raise them. Init itself lowers RLIMIT_NOFILE when it needs no more descriptors.
 *
 * @throws Error in one line when the kernel refuses a limit
 */
export function setLimits(program: Process, pid: number): void {
  for (const [i, { type, soft, hard }] of (program.rlimits ?? []).entries()) {
    try {
      if (type === 'RLIMIT_NOFILE') raiseNofile(pid, BigInt(hard));
      else setLimit(pid, type, soft, hard);
    } catch (cause) {
      throw new Error(
        `cannot set ${type} to ${soft}, at most ${hard}: ${whyNot(type, cause)}  [/process/rlimits/${i}]`,
        { cause },
      );
    }
  }
}

function raiseNofile(pid: number, hard: bigint): void {
  const own = nofileOf(pid);
  if (own !== undefined && hard > own.hard) setLimit(pid, 'RLIMIT_NOFILE', own.soft, hard);
}

/** The caller's own RLIMIT_NOFILE, which the engine has raised for itself. */
export function callersNofile(): Limit | undefined {
  return inheritedNofile() ?? parentNofile();
}

function whyNot(type: string, cause: unknown): string {
  const { errno, code } = cause as SyscallError;
  const most = type === 'RLIMIT_NOFILE' ? ', or than the kernel allows (fs.nr_open)' : '';
  const hint = `: it is more than scow itself may have${most}`;
  return `${explainErrno(errno)}${code === 'EPERM' ? hint : ''}`;
}

/**
 * For want of a launcher that saved our own soft limit, that of who called scow: Node.js has
 * raised it to the hard limit before the first line of ours runs.
 */
function parentNofile(): Limit | undefined {
  const own = nofileOf(process.pid);
  const parent = nofileOf(process.ppid);
  if (own === undefined || parent === undefined) return undefined;
  const reachable = parent.soft <= own.hard;
  return { soft: reachable ? parent.soft : own.hard, hard: own.hard };
}

function nofileOf(pid: number): Limit | undefined {
  const limit = new Uint8Array(16);
  const view = new DataView(limit.buffer);
  if (trySyscall('prlimit64', pid, NOFILE, 0, limit) < 0) return undefined;
  return { soft: view.getBigUint64(0, true), hard: view.getBigUint64(8, true) };
}

function setLimit(pid: number, type: string, soft: number | bigint, hard: number | bigint): void {
  const limit = new Uint8Array(16);
  const view = new DataView(limit.buffer);
  writeWord(view, 0, BigInt(soft));
  writeWord(view, 8, BigInt(hard));
  syscall('prlimit64', pid, RESOURCES[type] ?? -1, limit, 0);
}

/**
 * Sets init's OOM score adjustment from outside: later it may not be ours to write.
 *
 * @throws Error in one line when the kernel refuses
 */
export function setOomScore({ oomScoreAdj: score }: Process, pid: number): void {
  if (score === undefined) return;
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(score));
  } catch (cause) {
    const hint =
      codeOf(cause) === 'EACCES' ? ': it is less than that of scow, who may not lower it' : '';
    throw new Error(
      `cannot set the OOM score adjustment to ${score}: ${reason(cause)}${hint}  [/process/oomScoreAdj]`,
      { cause },
    );
  }
}
