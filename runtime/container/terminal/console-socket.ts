import { statSync } from 'node:fs';
import { connectUnix, sendMessage } from '../../linux/socket.ts';
import { SyscallError, syscall } from '../../linux/syscall.ts';

/** What receivers are told the descriptor was opened as; they show it, and don't open it. */
const MASTER_NAME = '/dev/ptmx';

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
  try {
    const socket = connectUnix(socketPath);
    try {
      sendMessage(socket, Buffer.from(MASTER_NAME), [master]);
    } finally {
      syscall('close', socket);
    }
  } catch (cause) {
    throw new Error(
      `cannot send the terminal to console socket ${socketPath}: ${why(socketPath, cause)}`,
      {
        cause,
      },
    );
  }
}

function why(socketPath: string, cause: unknown): string {
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
