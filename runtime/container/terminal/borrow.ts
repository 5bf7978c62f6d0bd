import { TIO } from '../../linux/constants.ts';
import { syscall, trySyscall } from '../../linux/syscall.ts';
import { rawTermios, readTermios, writeTermios } from './termios.ts';

/** The caller's terminal while it is in raw mode. */
export interface BorrowedTerminal {
  /** Gives the terminal back as it was found; more than once does nothing. */
  restore(): void;
}

/** Signals that end a program which does not handle them. */
const FATAL = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

/**
 * Whether the terminal is ours to change. In the background it belongs to the shell, and the
 * kernel would stop us (SIGTTOU) for trying. Outside of our session there is no job control.
 */
function inForeground(fd: number): boolean {
  const group = new Int32Array(new ArrayBuffer(4));
  if (trySyscall('ioctl', fd, TIO.GPGRP, new Uint8Array(group.buffer)) < 0) return true;
  return group[0] === syscall('getpgrp');
}

/**
 * Puts the caller's terminal into raw mode, and back at the latest when this process ends: by
 * returning, by process.exit, by an uncaught exception, or by a signal that nobody else
 * handles. After a stop (SIGSTOP) and `fg` of the shell it is raw again.
 *
 * @param fd may be no terminal at all: then there is nothing to do or to restore
 * @param output what is written shall pass unchanged too (see rawTermios)
 */
export function borrowTerminal(fd: number, output: boolean): BorrowedTerminal {
  const found = readTermios(fd);
  if (found === undefined) return { restore() {} };
  const raw = rawTermios(found, output);
  const enter = () => {
    if (inForeground(fd)) writeTermios(fd, raw);
  };
  const die = (signal: NodeJS.Signals) => {
    // Whoever else listens decides what the signal means, and ends in `exit` if it ends us.
    if (process.listenerCount(signal) > 1) return;
    restore();
    process.kill(process.pid, signal);
  };
  let borrowed = true;
  const restore = () => {
    if (!borrowed) return;
    borrowed = false;
    process.off('exit', restore);
    process.off('SIGCONT', enter);
    for (const signal of FATAL) process.off(signal, die);
    if (inForeground(fd)) writeTermios(fd, found);
  };
  process.on('exit', restore);
  process.on('SIGCONT', enter);
  for (const signal of FATAL) process.on(signal, die);
  enter();
  return { restore };
}
