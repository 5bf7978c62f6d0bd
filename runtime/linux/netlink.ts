import { AF_NETLINK, NETLINK_ROUTE, NLM_F, NLMSG, O, SOCK_RAW } from './constants.ts';
import { errnoCode, errnoName, explainErrno } from './errno.ts';
import { closeSync } from './files.ts';
import { SyscallError, syscall, trySyscall } from './syscall.ts';

const EINTR = errnoCode('EINTR');

/** `struct nlmsghdr` and `struct rtattr`; both are padded to 4 bytes. */
const HEADER = { length: 0, type: 4, flags: 6, sequence: 8, size: 16 } as const;
const ATTRIBUTE = { length: 0, type: 2, size: 4 } as const;
/** The kernel fills no more than 32 KiB at once. */
const ROOM = 1 << 16;

const padded = (size: number) => (size + 3) & ~3;

/** An attribute of a message: what it is, and its value as it is. */
export type Attribute = readonly [type: number, value: Uint8Array];

/** What the kernel answers: the fixed part of a message, and what follows by type. */
export interface Reply {
  readonly fixed: DataView;
  readonly attributes: ReadonlyMap<number, Uint8Array>;
}

/** A request that the kernel refused. */
export class NetlinkError extends Error {
  readonly errno: number;
  readonly code: string;

  constructor(errno: number) {
    super(explainErrno(errno));
    this.name = 'NetlinkError';
    this.errno = errno;
    this.code = errnoName(errno);
  }
}

/** The value of an attribute that holds a number of 32 bits. */
export function word(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

/** The value of an attribute that holds a name. */
export function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}

/** A connection to the kernel's network configuration, rtnetlink(7), of one network namespace. */
export class RouteSocket {
  readonly #fd: number;
  #sequence = 0;

  /** @param fd a netlink socket, whose namespace is the one that it was made in */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens a connection in this process's own network namespace. @throws SyscallError */
  static open(): RouteSocket {
    return new RouteSocket(syscall('socket', AF_NETLINK, SOCK_RAW | O.CLOEXEC, NETLINK_ROUTE));
  }

  close(): void {
    closeSync(this.#fd);
  }

  /**
   * Sends a request and waits until the kernel has done it.
   *
   * @param type of {@link RTM}
   * @param flags besides NLM_F_REQUEST and NLM_F_ACK
   * @param fixed the part of the message that its type prescribes
   * @returns the messages that it answers with
   * @throws NetlinkError when it refuses
   */
  request(
    type: number,
    flags: number,
    fixed: Uint8Array,
    attributes: readonly Attribute[] = [],
  ): Reply[] {
    const sequence = ++this.#sequence;
    this.#send(encode(type, flags | NLM_F.REQUEST | NLM_F.ACK, sequence, fixed, attributes));
    const replies: Reply[] = [];
    for (;;) {
      const bytes = this.#receive();
      for (let at = 0; at + HEADER.size <= bytes.byteLength; ) {
        const length = bytes.getUint32(at + HEADER.length, true);
        const kind = bytes.getUint16(at + HEADER.type, true);
        const body = at + HEADER.size;
        if (kind === NLMSG.ERROR) {
          const errno = -bytes.getInt32(body, true);
          if (errno !== 0) throw new NetlinkError(errno);
          return replies;
        }
        if (kind === NLMSG.DONE) return replies;
        replies.push(decode(bytes, body, at + length, fixed.byteLength));
        at += padded(length);
      }
    }
  }

  #send(message: Uint8Array): void {
    for (;;) {
      const sent = trySyscall('sendto', this.#fd, message, message.byteLength, 0, 0, 0);
      if (sent >= 0) return;
      if (sent !== -EINTR) throw new SyscallError('sendto', [this.#fd], -sent);
    }
  }

  #receive(): DataView {
    const buffer = new ArrayBuffer(ROOM);
    for (;;) {
      const size = trySyscall('recvfrom', this.#fd, new Uint8Array(buffer), ROOM, 0, 0, 0);
      if (size >= 0) return new DataView(buffer, 0, size);
      if (size !== -EINTR) throw new SyscallError('recvfrom', [this.#fd], -size);
    }
  }
}

function encode(
  type: number,
  flags: number,
  sequence: number,
  fixed: Uint8Array,
  attributes: readonly Attribute[],
): Uint8Array {
  const sizes = attributes.map(([, value]) => padded(ATTRIBUTE.size + value.byteLength));
  const start = HEADER.size + padded(fixed.byteLength);
  const view = new DataView(new ArrayBuffer(sizes.reduce((sum, size) => sum + size, start)));
  const bytes = new Uint8Array(view.buffer);
  view.setUint32(HEADER.length, bytes.byteLength, true);
  view.setUint16(HEADER.type, type, true);
  view.setUint16(HEADER.flags, flags, true);
  view.setUint32(HEADER.sequence, sequence, true);
  bytes.set(fixed, HEADER.size);
  let at = start;
  for (const [i, [name, value]] of attributes.entries()) {
    view.setUint16(at + ATTRIBUTE.length, ATTRIBUTE.size + value.byteLength, true);
    view.setUint16(at + ATTRIBUTE.type, name, true);
    bytes.set(value, at + ATTRIBUTE.size);
    at += sizes[i] as number;
  }
  return bytes;
}

function decode(bytes: DataView, start: number, end: number, fixed: number): Reply {
  const attributes = new Map<number, Uint8Array>();
  for (let at = start + padded(fixed); at + ATTRIBUTE.size <= end; ) {
    const length = bytes.getUint16(at + ATTRIBUTE.length, true);
    const type = bytes.getUint16(at + ATTRIBUTE.type, true);
    const value = new Uint8Array(bytes.buffer, at + ATTRIBUTE.size, length - ATTRIBUTE.size);
    attributes.set(type, value);
    at += padded(length);
  }
  return { fixed: new DataView(bytes.buffer, start, fixed), attributes };
}
