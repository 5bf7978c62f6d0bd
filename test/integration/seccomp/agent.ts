import { closeSync } from 'node:fs';
import { AF_UNIX, POLL, SOCK } from '../../../runtime/linux/constants.ts';
import { poll } from '../../../runtime/linux/poll.ts';
import { receiveMessage } from '../../../runtime/linux/socket.ts';
import { syscall, trySyscall } from '../../../runtime/linux/syscall.ts';
import { moment } from '../../helpers/pty.ts';

/** ioctl(2) requests of seccomp_unotify(2), and its structures `seccomp_notif` and `…_resp`. */
const RECEIVE = 0xc0502100;
const SEND = 0xc0182101;
const NOTIFICATION = { id: 0, nr: 16, size: 80 } as const;
const RESPONSE = { id: 0, error: 16, flags: 20, size: 24 } as const;
const CONTINUE = 1;

/** What an agent does with a system call: lets it through, or makes it fail. */
export type Verdict = 'continue' | { readonly errno: number };

/** A seccomp agent: whoever listens at `listenerPath`. */
export class Agent {
  /** The message that came with the listener: the container process state. */
  state: unknown;
  /** The numbers of the calls that it was told of. */
  readonly calls: number[] = [];
  readonly #socket: number;
  #listener = -1;
  #closed = false;

  /** @param path where to listen, shorter than 108 bytes */
  constructor(path: string) {
    this.#socket = syscall('socket', AF_UNIX, SOCK.STREAM | SOCK.CLOEXEC | SOCK.NONBLOCK, 0);
    const address = new Uint8Array(110);
    address[0] = AF_UNIX;
    address.set(Buffer.from(path), 2);
    syscall('bind', this.#socket, address, address.byteLength);
    syscall('listen', this.#socket, 1);
  }

  /** Takes a listener, and answers what it tells of until the agent is closed. */
  async serve(judge: (nr: number) => Verdict): Promise<void> {
    let connection: number;
    do {
      await moment();
      if (this.#closed) return;
      connection = trySyscall('accept', this.#socket, 0, 0);
    } while (connection < 0);
    const message = receiveMessage(connection, 1 << 16, 4);
    closeSync(connection);
    this.state = JSON.parse(Buffer.from(message?.bytes ?? []).toString());
    const [listener, ...others] = message?.descriptors ?? [];
    if (listener === undefined || others.length > 0) throw new Error('not one listener came');
    this.#listener = listener;
    for (; !this.#closed; await moment()) this.#answer(judge);
  }

  #answer(judge: (nr: number) => Verdict): void {
    const [events = 0] = poll([{ fd: this.#listener, events: POLL.IN }], 0) ?? [];
    if ((events & POLL.IN) === 0) return;
    const notification = new DataView(new ArrayBuffer(NOTIFICATION.size));
    const received = trySyscall(
      'ioctl',
      this.#listener,
      RECEIVE,
      new Uint8Array(notification.buffer),
    );
    if (received < 0) return;
    const nr = notification.getInt32(NOTIFICATION.nr, true);
    this.calls.push(nr);
    const verdict = judge(nr);
    const response = new DataView(new ArrayBuffer(RESPONSE.size));
    response.setBigUint64(RESPONSE.id, notification.getBigUint64(NOTIFICATION.id, true), true);
    if (verdict === 'continue') response.setUint32(RESPONSE.flags, CONTINUE, true);
    else response.setInt32(RESPONSE.error, -verdict.errno, true);
    trySyscall('ioctl', this.#listener, SEND, new Uint8Array(response.buffer));
  }

  /** Ends the agent: calls that nobody answers fail from then on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#socket);
    if (this.#listener >= 0) closeSync(this.#listener);
  }
}
