import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { cString } from '../../runtime/linux/call-table.ts';
import { CLOSE_RANGE_CLOEXEC, F, TIO, W } from '../../runtime/linux/constants.ts';
import { spawnCalls } from '../../runtime/linux/elsewhere.ts';
import { port } from '../../runtime/linux/port.ts';
import { type Call, SyscallError, syscall, trySyscall } from '../../runtime/linux/syscall.ts';
import { exitStatus } from '../../runtime/linux/wait-status.ts';

/** sigprocmask(2) */
const SIG_SETMASK = 2;
/** SIGPIPE and SIGXFSZ: an engine has them ignored, which a program would inherit. */
const IGNORED_BY_ENGINES = [13, 25];

/** What people and service managers send to a program. */
const FORWARDED = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

/** Those that a terminal sends to all programs in its foreground. */
const OF_TERMINALS: readonly string[] = ['SIGINT', 'SIGQUIT', 'SIGHUP'];

/** Milliseconds between looks at the child, for a SIGCHLD that came before its handler. */
const LOOK = 500;

/**
 * Runs a command in the foreground, with this process's standard streams. Signals go on to it.
 *
 * @param command the path of a program, and its arguments
 * @param before what the child calls before it becomes the program
 * @returns its exit status, or 128 and the signal that ended it
 * @throws SyscallError when it cannot be started
 */
export async function runForeground(
  command: readonly string[],
  before: readonly Call[] = [],
): Promise<number> {
  const kept: Uint8Array[] = [];
  const pid = spawn([...before, ...executing(command, kept)]);
  const release = forwardSignals((signal) => trySyscall('kill', pid, signal));
  try {
    return await exitOf(pid);
  } finally {
    release();
    kept.length = 0;
  }
}

function spawn(calls: readonly Call[]): number {
  const { pid, results } = spawnCalls(0, calls);
  const result = results.at(-1) ?? 0;
  if (result >= 0) return pid;
  syscall('wait4', pid, 0, 0, 0);
  const { name } = calls[results.length - 1] as Call;
  throw new SyscallError(name, [], -result);
}

/** Calls that make a child the program, with signals as they are without an engine. */
function executing(command: readonly string[], kept: Uint8Array[]): Call[] {
  const byDefault = new Uint8Array(32);
  const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
  return [
    ...IGNORED_BY_ENGINES.map(
      (signal): Call => ({ name: 'rt_sigaction', args: [signal, byDefault, 0, 8] }),
    ),
    { name: 'close_range', args: [3, 0xffffffff, CLOSE_RANGE_CLOEXEC] },
    // Node.js keeps them from programs that it does not start itself.
    ...[0, 1, 2].map((fd): Call => ({ name: 'fcntl', args: [fd, F.SETFD, 0] })),
    { name: 'rt_sigprocmask', args: [SIG_SETMASK, new Uint8Array(8), 0, 8] },
    {
      name: 'execve',
      args: [command[0] as string, pointers(command, kept), pointers(environment, kept)],
      stopOnError: true,
    },
  ];
}

/** A list of strings as execve(2) takes it. @param kept gets the memory that it points at */
function pointers(texts: readonly string[], kept: Uint8Array[]): Uint8Array {
  const strings = texts.map(cString);
  kept.push(...strings);
  const addresses = strings.map((string) => BigInt(port().addressOf(string)));
  return new Uint8Array(BigUint64Array.of(...addresses, 0n).buffer);
}

/** Waits for a child, in turns with the engine's event loop. */
function exitOf(pid: number): Promise<number> {
  return new Promise((resolve) => {
    const status = new Int32Array(1);
    const look = () => {
      if (trySyscall('wait4', pid, new Uint8Array(status.buffer), W.NOHANG, 0) !== pid) return;
      clearInterval(timer);
      process.off('SIGCHLD', look);
      resolve(exitStatus(status[0] as number));
    };
    process.on('SIGCHLD', look);
    const timer = setInterval(look, LOOK);
    look();
  });
}

function forwardSignals(send: (signal: number) => void): () => void {
  const handlers = FORWARDED.map((name) => {
    const handler = () => {
      // The terminal has sent it to the child, too.
      if (!OF_TERMINALS.includes(name) || !inForeground()) send(constants.signals[name]);
    };
    process.on(name, handler);
    return { name, handler };
  });
  return () => {
    for (const { name, handler } of handlers) process.off(name, handler);
  };
}

/** Whether this process's group is the one that its terminal sends signals to: tcgetpgrp(3). */
function inForeground(): boolean {
  let terminal: number;
  try {
    terminal = openSync('/dev/tty', 'r');
  } catch {
    return false;
  }
  try {
    const group = Buffer.alloc(4);
    const known = trySyscall('ioctl', terminal, TIO.GPGRP, group) === 0;
    return known && group.readInt32LE() === trySyscall('getpgrp');
  } finally {
    closeSync(terminal);
  }
}
