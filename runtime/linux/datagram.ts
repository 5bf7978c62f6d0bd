import { AF_UNIX, AT, O, SOCK } from './constants.ts';
import { SyscallError, syscall, trySyscall } from './syscall.ts';

/** `struct sockaddr_un`, unix(7). */
const SOCKADDR_UN = { path: 2, size: 110 } as const;

/**
 * Makes a datagram socket with a name in the file system: AF_UNIX, non-blocking, close-on-exec.
 *
 * @param directory absolute path of the directory, which may be longer than an address
 * @param name the socket's name in it; nothing may be there
 * @returns the descriptor
 * @throws SyscallError
 */
export function bindDatagram(directory: string, name: string): number {
  const place = syscall('openat', AT.FDCWD, directory, O.PATH | O.DIRECTORY | O.CLOEXEC, 0);
  try {
    return withAddress('bind', fileAddress(`/proc/self/fd/${place}/${name}`), name);
  } finally {
    syscall('close', place);
  }
}

/**
 * Connects a datagram socket: AF_UNIX, non-blocking, close-on-exec.
 *
 * @param address an absolute path, or `@` and a name in the abstract namespace, unix(7)
 * @returns the descriptor
 * @throws SyscallError: ENOENT or ECONNREFUSED when nobody listens there
 */
export function connectDatagram(address: string): number {
  if (address.startsWith('@'))
    return withAddress('connect', abstractAddress(address.slice(1)), address);
  const file = syscall('openat', AT.FDCWD, address, O.PATH | O.CLOEXEC, 0);
  try {
    return withAddress('connect', fileAddress(`/proc/self/fd/${file}`), address);
  } finally {
    syscall('close', file);
  }
}

function withAddress(name: 'bind' | 'connect', address: Uint8Array, shown: string): number {
  const type = SOCK.DGRAM | SOCK.NONBLOCK | SOCK.CLOEXEC;
  const socket = syscall('socket', AF_UNIX, type, 0);
  const result = trySyscall(name, socket, address, address.byteLength);
  if (result === 0) return socket;
  syscall('close', socket);
  throw new SyscallError(name, [socket, shown], -result);
}

/** The address of a file, by a path that fits into 108 bytes. */
export function fileAddress(path: string): Uint8Array {
  const address = new Uint8Array(SOCKADDR_UN.size);
  address[0] = AF_UNIX;
  address.set(Buffer.from(path), SOCKADDR_UN.path);
  return address;
}

/** The address of a name in the abstract namespace: it begins with NUL, and ends where the address does. */
export function abstractAddress(name: string): Uint8Array {
  const bytes = Buffer.from(name).subarray(0, SOCKADDR_UN.size - SOCKADDR_UN.path - 1);
  const address = new Uint8Array(SOCKADDR_UN.path + 1 + bytes.length);
  address[0] = AF_UNIX;
  address.set(bytes, SOCKADDR_UN.path + 1);
  return address;
}
