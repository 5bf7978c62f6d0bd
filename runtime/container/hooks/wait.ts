import { readFileSync } from 'node:fs';
import type { Hook } from '../../../schemas/runtime-config.ts';
import { P_PIDFD, POLL, SIG, W } from '../../linux/constants.ts';
import { poll } from '../../linux/poll.ts';
import { syscall, trySyscall } from '../../linux/syscall.ts';
import { describeStatus, hookOf } from '../failure.ts';

/** Milliseconds of one wait in the kernel; a longer one is made of several. */
const LONGEST = 3_600_000;
/** `siginfo_t` as waitid(2) fills it in, on 64 bits. */
const SIGINFO = { code: 8, status: 24, size: 128 } as const;
const CLD_EXITED = 1;

/** Why a wait for a hook ended. */
export type Wait = 'ended' | 'timeout' | 'abandoned';

/**
 * Waits until a hook has ended. When it takes longer than it may, or the container ends that it
 * is for, it is killed with all of its session's first process group.
 *
 * @param pidfd the hook's, which need not be a child
 * @param init pidfd of the container's init, when the hook is of no use without it
 */
export function waitForHook(pidfd: number, { timeout }: Hook, init?: number): Wait {
  const deadline = performance.now() + (timeout === undefined ? Infinity : Number(timeout) * 1000);
  const watched = [pidfd, ...(init === undefined ? [] : [init])].map((fd) => ({
    fd,
    events: POLL.IN,
  }));
  for (;;) {
    const left = Math.max(0, Math.ceil(deadline - performance.now()));
    const [ended, abandoned] = poll(watched, Math.min(left, LONGEST)) ?? [];
    if (ended) return 'ended';
    if (abandoned || left === 0) {
      kill(pidfd);
      return abandoned ? 'abandoned' : 'timeout';
    }
  }
}

/** The hook may have ended meanwhile; until it is waited for, nobody else gets its PID. */
function kill(pidfd: number): void {
  const pid = Number(
    /^Pid:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${pidfd}`, 'latin1'))?.[1],
  );
  if (pid > 0) trySyscall('kill', -pid, SIG.KILL);
  trySyscall('pidfd_send_signal', pidfd, SIG.KILL, 0, 0);
}

/** How a child of scow ended, as wait(2) has it. */
export function statusOfChild(pidfd: number): number {
  const info = new DataView(new ArrayBuffer(SIGINFO.size));
  syscall('waitid', P_PIDFD, pidfd, new Uint8Array(info.buffer), W.EXITED, 0);
  const status = info.getInt32(SIGINFO.status, true);
  return info.getInt32(SIGINFO.code, true) === CLD_EXITED ? status << 8 : status;
}

/** How a hook ended. */
export interface HookEnd {
  readonly wait: Wait;
  /** As wait(2) has it. */
  readonly status: number;
  /** The last that it printed. */
  readonly words: string;
}

/**
 * Says how a hook failed.
 *
 * @param pointer its JSON pointer
 * @returns undefined when it did not fail
 */
export function describeEnd(hook: Hook, pointer: string, end: HookEnd): string | undefined {
  const how = whatHappened(hook, end);
  if (how === undefined) return undefined;
  const said = end.words === '' ? '' : `: ${JSON.stringify(end.words)}`;
  const at = end.wait === 'timeout' ? `${pointer}/timeout` : pointer;
  return `${hookOf(pointer)}${hook.path} ${how}${said}  [${at}]`;
}

function whatHappened({ timeout }: Hook, { wait, status }: HookEnd): string | undefined {
  if (wait === 'timeout') return `was killed, for it took longer than its timeout of ${timeout} s`;
  if (wait === 'abandoned') return "was killed, for the container's init has ended";
  return status === 0 ? undefined : describeStatus(status);
}
