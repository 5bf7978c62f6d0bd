import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { TIO } from '../../runtime/linux/constants.ts';
import { trySyscall } from '../../runtime/linux/syscall.ts';

/** What people and service managers send to a program. */
const FORWARDED = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

/** Those that a terminal sends to all programs in its foreground. */
const OF_TERMINALS: readonly string[] = ['SIGINT', 'SIGQUIT', 'SIGHUP'];

/**
 * Runs a command in the foreground, with this process's standard streams. Signals go on to it.
 *
 * @returns its exit status, or 128 and the signal that ended it
 * @throws Error of node:child_process when it cannot be started
 */
export function runForeground(command: readonly string[]): Promise<number> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { stdio: 'inherit' });
  const release = forwardSignals((name) => child.kill(name));
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      release();
      reject(error);
    });
    child.on('exit', (code, signal) => {
      release();
      resolve(code ?? 128 + constants.signals[signal as NodeJS.Signals]);
    });
  });
}

function forwardSignals(send: (name: NodeJS.Signals) => void): () => void {
  const handlers = FORWARDED.map((name) => {
    const handler = () => {
      // The terminal has sent it to the child, too.
      if (!OF_TERMINALS.includes(name) || !inForeground()) send(name);
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
