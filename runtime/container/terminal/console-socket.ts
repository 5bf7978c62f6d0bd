import type { ConsoleSize } from '../../../schemas/runtime-config.ts';
import { statIfThere } from '../../linux/files.ts';
import { connectUnix, sendMessage } from '../../linux/socket.ts';
import { SyscallError, syscall } from '../../linux/syscall.ts';
import { setWindowSize } from './size.ts';

/** What receivers are told the descriptor was opened as; they show it, and don't open it. */
const MASTER_NAME = '/dev/ptmx';
/** What receivers are told a pidfd is of, in runc's words. */
const PROCESS_NAMES = { init: 'standard', exec: 'setns' } as const;

/**
 * Hands a container's terminal to whoever listens on a console socket: one message over a
 * stream socket, whose data is the master's name and whose SCM_RIGHTS holds the master
 * (what `--console-socket` of runc's command line means).
 *
 * @param socketPath a listening AF_UNIX stream socket
 * @param master stays open here; the caller closes it
 * @throws Error in one line when nobody takes the terminal
 */
export function sendTerminal(socketPath: string, master: number): void {
  handOver('the terminal to console socket', socketPath, MASTER_NAME, master);
}

/**
 * Hands a descriptor of a container's process to whoever listens on a socket, in a message like that
 * of the terminal (what `--pidfd-socket` of runc's command line means).
 *
 * @param pidfd stays open here
 * @throws Error in one line when nobody takes it
 */
export function sendPidfd(
  socketPath: string,
  pidfd: number,
  kind: keyof typeof PROCESS_NAMES,
): void {
  handOver('the pidfd to socket', socketPath, PROCESS_NAMES[kind], pidfd);
}

/**
 * Sizes a new terminal and gives it to a console socket, if there is one.
 *
 * @returns the master, when it is ours to hold
 * @throws Error in one line when nobody takes the terminal
 */
export function placeTerminal(
  master: number,
  size: ConsoleSize | undefined,
  socketPath: string | undefined,
): number | undefined {
  if (size !== undefined) setWindowSize(master, { rows: size.height, columns: size.width });
  if (socketPath === undefined) return master;
  sendTerminal(socketPath, master);
  syscall('close', master);
  return undefined;
}

function handOver(what: string, socketPath: string, name: string, descriptor: number): void {
  try {
    const socket = connectUnix(socketPath);
    try {
      sendMessage(socket, Buffer.from(name), [descriptor]);
    } finally {
      syscall('close', socket);
    }
  } catch (cause) {
    throw new Error(`cannot send ${what} ${socketPath}: ${whyUnreachable(socketPath, cause)}`, {
      cause,
    });
  }
}

/** Why a socket in the file system could not be used, for the end of a sentence. */
export function whyUnreachable(socketPath: string, cause: unknown): string {
  if (!(cause instanceof SyscallError)) return String(cause);
  switch (cause.code) {
    case 'ENOENT':
      return 'no such file: its owner must make it and listen before the container is created';
    case 'ECONNREFUSED':
      return statIfThere(socketPath)?.isSocket() === true
        ? 'nobody listens on it'
        : 'it is not a socket';
    case 'EPROTOTYPE':
      return 'it is not a stream socket';
    default:
      return cause.message;
  }
}
