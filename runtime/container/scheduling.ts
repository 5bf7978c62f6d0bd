import type { CpuAffinity, IoPriority, Process, Scheduler } from '../../schemas/runtime-config.ts';
import {
  IOPRIO_CLASS,
  IOPRIO_CLASS_SHIFT,
  IOPRIO_WHO_PROCESS,
  SCHED,
  SCHED_FLAG,
} from '../linux/constants.ts';
import { explainErrno } from '../linux/errno.ts';
import { type SyscallError, syscall, trySyscall, writeWord } from '../linux/syscall.ts';
import { maskOf } from '../plan/number-list.ts';

/** Bytes of the largest mask: the kernel knows 8192 CPUs at the most. */
const ALL_CPUS = 1024;
/** `struct sched_attr` with the bounds of utilization, sched_setattr(2). */
const SCHED_ATTR_SIZE = 56;

/**
 * Sets how a process is scheduled, from outside: it needs privileges that count in the host's
 * user namespace. To be called once the process is the one that will execute the program: some
 * policies forbid a fork, and one flag gives them up at a fork.
 *
 * @param pid init's
 * @throws Error in one line when the kernel refuses
 */
export function setScheduling({ scheduler, ioPriority }: Process, pid: number): void {
  if (scheduler !== undefined) setScheduler(scheduler, pid);
  if (ioPriority !== undefined) setIoPriority(ioPriority, pid);
}

/**
 * Lets a container's process run on every CPU that its cgroup may use, whatever scow's caller is
 * bound to: an affinity that is inherited would outlive the move into the cgroup.
 */
export function resetAffinity(pid: number): void {
  // Where it may not be done, the process keeps what it has.
  trySyscall('sched_setaffinity', pid, ALL_CPUS, new Uint8Array(ALL_CPUS).fill(0xff));
}

/**
 * Binds a process that `exec` adds to CPUs: `process.execCPUAffinity` of the specification.
 *
 * @param when `initial`: before it joins the container's cgroup, `final`: after
 * @param pid 0 for this process, whose children inherit it
 * @throws Error in one line when there are no such CPUs, or the cgroup has none of them
 */
export function setAffinity(affinity: CpuAffinity, when: 'initial' | 'final', pid: number): void {
  const mask = maskOf(affinity[when] ?? '');
  if (mask.length === 0) return;
  attempt(`bind the process to the CPUs ${affinity[when]}`, `execCPUAffinity/${when}`, () =>
    syscall('sched_setaffinity', pid, mask.length, mask),
  );
}

function setScheduler(scheduler: Scheduler, pid: number): void {
  const { policy, nice = 0, priority = 0, flags = [] } = scheduler;
  const attributes = new Uint8Array(SCHED_ATTR_SIZE);
  const view = new DataView(attributes.buffer);
  view.setUint32(0, SCHED_ATTR_SIZE, true);
  view.setUint32(4, SCHED[policy.slice('SCHED_'.length) as keyof typeof SCHED], true);
  let bits = 0;
  for (const name of flags)
    bits |= SCHED_FLAG[name.slice('SCHED_FLAG_'.length) as keyof typeof SCHED_FLAG];
  writeWord(view, 8, bits);
  view.setInt32(16, nice, true);
  view.setUint32(20, priority, true);
  for (const [i, key] of (['runtime', 'deadline', 'period'] as const).entries())
    writeWord(view, 24 + 8 * i, BigInt(scheduler[key] ?? 0));
  // The specification has flags for these bounds but no values: -1 is the kernel's default.
  view.setInt32(48, -1, true);
  view.setInt32(52, -1, true);
  attempt(`set the scheduling policy ${policy}`, 'scheduler', () =>
    syscall('sched_setattr', pid, attributes, 0),
  );
}

function setIoPriority({ class: name, priority }: IoPriority, pid: number): void {
  const value = IOPRIO_CLASS[name.slice('IOPRIO_CLASS_'.length) as keyof typeof IOPRIO_CLASS];
  attempt(`set the I/O priority ${priority} of ${name}`, 'ioPriority', () =>
    syscall('ioprio_set', IOPRIO_WHO_PROCESS, pid, (value << IOPRIO_CLASS_SHIFT) | priority),
  );
}

/** What an errno means here, where the kernel's own words leave the user alone. */
const HINTS: Readonly<Record<string, string>> = {
  'sched_setattr EPERM':
    'it needs CAP_SYS_NICE in the first user namespace, and SCHED_DEADLINE all CPUs',
  'sched_setattr EINVAL':
    'the kernel does not have this policy (SCHED_ISO), or not with these values: sched_setattr(2)',
  'sched_setattr EBUSY': 'other processes have the time already that is asked for, sched(7)',
  'ioprio_set EPERM': 'it needs CAP_SYS_NICE in the first user namespace',
  'sched_setaffinity EINVAL': 'the machine, or the cgroup of the container, has none of them',
};

function attempt(what: string, field: string, change: () => void): void {
  try {
    change();
  } catch (cause) {
    const { errno, code, syscall: name } = cause as SyscallError;
    const hint = HINTS[`${name} ${code}`];
    throw new Error(
      `cannot ${what} (${name}): ${explainErrno(errno)}${hint === undefined ? '' : `: ${hint}`}  [/process/${field}]`,
      { cause },
    );
  }
}
