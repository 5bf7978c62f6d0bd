import { AF_UNIX, AT, MSG, O, SCM_RIGHTS, SOCK, SOL_SOCKET } from './constants.ts';
import { abstractAddress, fileAddress } from './datagram.ts';
import { errnoCode } from './errno.ts';
import { port } from './port.ts';
import {
  type Argument,
  readWord,
  SyscallError,
  type SyscallName,
  syscall,
  trySyscall,
  writeWord,
} from './syscall.ts';

const ECONNRESET = errnoCode('ECONNRESET');
const EINTR = errnoCode('EINTR');

/** `struct msghdr` and `struct iovec` of recvmsg(2), `struct cmsghdr` of cmsg(3), on 64 bits. */
const MSGHDR = { iov: 16, iovlen: 24, control: 32, controllen: 40, flags: 48, size: 56 } as const;
const IOVEC = { base: 0, len: 8, size: 16 } as const;
const CMSGHDR = { len: 0, level: 8, type: 12, data: 16 } as const;

/** Everything that one sendmsg or recvmsg points at, in one block of memory. */
interface Message {
  readonly block: Uint8Array;
  readonly view: DataView;
  /** Where the control data starts in the block. */
  readonly control: number;
  /** Where the data starts in the block. */
  readonly data: number;
}

function layMessage(dataBytes: number, descriptors: number): Message {
  // Not padded to a multiple of 8, or the kernel would see room for one descriptor more.
  const controlBytes = descriptors === 0 ? 0 : CMSGHDR.data + 4 * descriptors;
  const control = MSGHDR.size + IOVEC.size;
  const data = control + controlBytes;
  // The view comes first: an engine may move a small array's bytes when their buffer is asked for.
  const view = new DataView(new ArrayBuffer(data + dataBytes));
  const block = new Uint8Array(view.buffer);
  const address = port().addressOf(block);
  writeWord(view, MSGHDR.iov, address + MSGHDR.size);
  writeWord(view, MSGHDR.iovlen, 1);
  writeWord(view, MSGHDR.control, controlBytes === 0 ? 0 : address + control);
  writeWord(view, MSGHDR.controllen, controlBytes);
  writeWord(view, MSGHDR.size + IOVEC.base, address + data);
  writeWord(view, MSGHDR.size + IOVEC.len, dataBytes);
  return { block, view, control, data };
}

/** Makes a call that a signal may interrupt, as often as it takes. */
function retried(name: SyscallName, ...args: readonly Argument[]): number {
  for (;;) {
    const result = trySyscall(name, ...args);
    if (result !== -EINTR) return result;
  }
}

/**
 * Makes a pair of connected sockets that keep the bounds of messages and report the end of
 * the other side: AF_UNIX, SOCK_SEQPACKET, close-on-exec (socketpair(2)).
 *
 * @returns the two descriptors
 * @throws SyscallError
 */
export function socketPair(): [number, number] {
  const pair = new Int32Array(new ArrayBuffer(8));
  syscall('socketpair', AF_UNIX, SOCK.SEQPACKET | SOCK.CLOEXEC, 0, new Uint8Array(pair.buffer));
  return [pair[0] as number, pair[1] as number];
}

/** Makes a close-on-exec pipe, pipe(2). @returns the end to read from, and that to write to */
export function pipe(): [reader: number, writer: number] {
  const pair = new Int32Array(new ArrayBuffer(8));
  syscall('pipe2', new Uint8Array(pair.buffer), O.CLOEXEC);
  return [pair[0] as number, pair[1] as number];
}

/**
 * Sends one message, with descriptors if there are any (SCM_RIGHTS of unix(7)). The kernel
 * duplicates the descriptors: the caller's own stay open. A dead peer is an error (EPIPE),
 * never a signal.
 *
 * @param fd a connected AF_UNIX socket
 * @param bytes the data: at least one byte, for an empty message looks like the end of file
 * @param descriptors at most 253
 * @throws SyscallError; Error when `bytes` is empty, or when a stream took only a part
 */
export function sendMessage(
  fd: number,
  bytes: Uint8Array,
  descriptors: readonly number[] = [],
): void {
  if (bytes.byteLength === 0) throw new Error('an empty message cannot be told from end of file');
  const { block, view, control, data } = layMessage(bytes.byteLength, descriptors.length);
  block.set(bytes, data);
  if (descriptors.length > 0) {
    writeWord(view, control + CMSGHDR.len, CMSGHDR.data + 4 * descriptors.length);
    view.setInt32(control + CMSGHDR.level, SOL_SOCKET, true);
    view.setInt32(control + CMSGHDR.type, SCM_RIGHTS, true);
    for (const [i, descriptor] of descriptors.entries())
      view.setInt32(control + CMSGHDR.data + 4 * i, descriptor, true);
  }
  const sent = retried('sendmsg', fd, block, MSG.NOSIGNAL);
  if (sent < 0) throw new SyscallError('sendmsg', [fd, block, MSG.NOSIGNAL], -sent);
  if (sent < bytes.byteLength)
    throw new Error(`sendmsg took ${sent} of the message's ${bytes.byteLength} bytes`);
}

/** The descriptors that recvmsg installed, from the one control message that it may write. */
function receivedDescriptors({ view, control }: Message): number[] {
  if (readWord(view, MSGHDR.controllen) < CMSGHDR.data) return [];
  if (view.getInt32(control + CMSGHDR.level, true) !== SOL_SOCKET) return [];
  if (view.getInt32(control + CMSGHDR.type, true) !== SCM_RIGHTS) return [];
  const count = (readWord(view, control + CMSGHDR.len) - CMSGHDR.data) >> 2;
  const descriptors: number[] = [];
  for (let i = 0; i < count; i++)
    descriptors.push(view.getInt32(control + CMSGHDR.data + 4 * i, true));
  return descriptors;
}

/**
 * Waits for one message (on a stream socket: for what has arrived) and the descriptors that
 * come with it, which are close-on-exec and the caller's to close.
 *
 * @param fd a connected AF_UNIX socket
 * @param maxBytes room for data; a longer message on a SOCK_SEQPACKET socket is an error
 * @param maxDescriptors room for descriptors; more than that are an error, and none stay open
 * @returns undefined when the other side is closed
 * @throws SyscallError; Error when the message did not fit
 */
export function receiveMessage(
  fd: number,
  maxBytes: number,
  maxDescriptors = 0,
): { bytes: Uint8Array; descriptors: number[] } | undefined {
  const message = layMessage(maxBytes, maxDescriptors);
  const received = retried('recvmsg', fd, message.block, MSG.CMSG_CLOEXEC);
  if (received === -ECONNRESET) return undefined;
  if (received < 0)
    throw new SyscallError('recvmsg', [fd, message.block, MSG.CMSG_CLOEXEC], -received);
  const descriptors = receivedDescriptors(message);
  const flags = message.view.getInt32(MSGHDR.flags, true);
  if ((flags & (MSG.TRUNC | MSG.CTRUNC)) !== 0) {
    for (const descriptor of descriptors) trySyscall('close', descriptor);
    throw new Error(
      (flags & MSG.TRUNC) !== 0
        ? `received a message longer than ${maxBytes} bytes`
        : `received a message with more than ${maxDescriptors} descriptors`,
    );
  }
  if (received === 0) return undefined;
  return { bytes: message.block.slice(message.data, message.data + received), descriptors };
}

/**
 * Connects to a socket: AF_UNIX, close-on-exec (unix(7)).
 *
 * A file is opened by itself first and named through procfs, so that its path may be longer than
 * the 108 bytes that an address holds.
 *
 * @param path a path, or `@` and a name in the abstract namespace
 * @param type the socket's type, SOCK.STREAM if not given
 * @returns the connected descriptor, blocking unless its type says otherwise
 * @throws SyscallError: ENOENT and its like from openat; ECONNREFUSED from connect when the
 *   file is no socket or nobody listens; EPROTOTYPE when it is of another type
 */
export function connectUnix(path: string, type: number = SOCK.STREAM): number {
  if (path.startsWith('@')) return connectTo(abstractAddress(path.slice(1)), type, path);
  const file = syscall('openat', AT.FDCWD, path, O.PATH | O.CLOEXEC, 0);
  try {
    return connectTo(fileAddress(`/proc/self/fd/${file}`), type, path);
  } finally {
    trySyscall('close', file);
  }
}

function connectTo(address: Uint8Array, type: number, shown: string): number {
  const socket = syscall('socket', AF_UNIX, type | SOCK.CLOEXEC, 0);
  const result = retried('connect', socket, address, address.byteLength);
  if (result === 0) return socket;
  trySyscall('close', socket);
  throw new SyscallError('connect', [socket, shown], -result);
}
