import { statSync } from 'node:fs';
import { connectUnix, sendMessage } from '../../linux/socket.ts';
import { SyscallError, syscall } from '../../linux/syscall.ts';

/** What receivers are told the descriptor was opened as; they show it, and don't open it. */
const MASTER_NAME = '/dev/ptmx';
/** What receivers are told a pidfd is of: runc has another word for the process of an exec. */
const INIT_NAME = 'standard';

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
 * Hands a descriptor of a container's init to whoever listens on a socket, in a message like that
 * of the terminal (what `--pidfd-socket` of runc's command line means).
 *
 * @param pidfd stays open here
 * @throws Error in one line when nobody takes it
 */
export function sendPidfd(socketPath: string, pidfd: number): void {
  handOver('the pidfd to socket', socketPath, INIT_NAME, pidfd);
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
      return statSync(socketPath, { throwIfNoEntry: false })?.isSocket() === true
        ? 'nobody listens on it'
        : 'it is not a socket';
    case 'EPROTOTYPE':
      return 'it is not a stream socket';
    default:
      return cause.message;
  }
}
