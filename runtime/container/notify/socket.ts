import { chmodSync, closeSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { POLL } from '../../linux/constants.ts';
import { bindDatagram, connectDatagram } from '../../linux/datagram.ts';
import { poll, waitFor } from '../../linux/poll.ts';
import { reason } from '../../linux/reason.ts';
import { pipe, sendMessage } from '../../linux/socket.ts';
import { trySyscall } from '../../linux/syscall.ts';
import { debug, warn } from '../log.ts';

/** In the container's state directory. */
export const NOTIFY_DIRECTORY = 'notify';
export const NOTIFY_NAME = 'notify.sock';

const EVERYBODY = 0o777;
/** sd_notify(3) knows no longer messages. */
const MOST_BYTES = 4096;
/** Milliseconds between looks of a `run` that has other things to do. */
const LOOK = 100;
/** Milliseconds that the host gets to take note, as with runc and crun. */
const PATIENCE = 30_000;

/** The socket by which a container's program says that it is ready, sd_notify(3). */
export class NotifySocket {
  readonly #socket: number;
  readonly #host: number;
  #timer: NodeJS.Timeout | undefined;

  private constructor(socket: number, host: number) {
    this.#socket = socket;
    this.#host = host;
  }

  /**
   * Makes the socket of a container that was created with a place for it.
   *
   * @param directory the container's state directory
   * @param address who wants to know: NOTIFY_SOCKET of scow's own environment
   * @returns undefined for a container that has no such place
   * @throws Error in one line when nobody listens at the address
   */
  static listen(directory: string, address: string): NotifySocket | undefined {
    const place = join(directory, NOTIFY_DIRECTORY);
    if (!existsSync(place)) return undefined;
    let host: number;
    try {
      host = connectDatagram(address);
    } catch (cause) {
      throw new Error(`cannot connect to ${address}, which NOTIFY_SOCKET names: ${reason(cause)}`, {
        cause,
      });
    }
    // From a start that was cut short.
    rmSync(join(place, NOTIFY_NAME), { force: true });
    const socket = bindDatagram(place, NOTIFY_NAME);
    chmodSync(join(place, NOTIFY_NAME), EVERYBODY);
    return new NotifySocket(socket, host);
  }

  /** Waits until the program is ready or has ended. @param pid the container's init, whom the host is to watch */
  wait(pid: number): void {
    const init = trySyscall('pidfd_open', pid, 0);
    if (init >= 0) {
      const watched = [this.#socket, init].map((fd) => ({ fd, events: POLL.IN }));
      for (let ended = 0; !ended; ) {
        ended = poll(watched, -1)?.[1] ?? 0;
        if (!this.#hasReady()) continue;
        this.#tell(pid);
        break;
      }
      closeSync(init);
    }
    this.close();
  }

  /** Looks for it from time to time. @param pid whom the host is to watch */
  follow(pid: number): void {
    this.#timer = setInterval(() => {
      if (!this.#hasReady()) return;
      this.close();
      this.#tell(pid);
    }, LOOK);
  }

  close(): void {
    clearInterval(this.#timer);
    trySyscall('close', this.#socket);
  }

  /** Of what the program says, only this is for the host. Descriptors that come with it are dropped. */
  #hasReady(): boolean {
    const bytes = Buffer.alloc(MOST_BYTES);
    for (;;) {
      const length = trySyscall('recvfrom', this.#socket, bytes, bytes.length, 0, 0, 0);
      if (length < 0) return false;
      if (bytes.toString('latin1', 0, length).split('\n').includes('READY=1')) return true;
    }
  }

  #tell(pid: number): void {
    debug(`the container is ready: telling the host, whose main process is ${pid}`);
    try {
      sendMessage(this.#host, Buffer.from(`READY=1\nMAINPID=${pid}\n`));
      this.#awaitHost();
    } catch (error) {
      warn(`cannot tell the host that the container is ready: ${reason(error)}`);
    } finally {
      closeSync(this.#host);
    }
  }

  /** sd_notify_barrier(3): the host closes a descriptor when it has read what came before. */
  #awaitHost(): void {
    const [ours, theirs] = pipe();
    try {
      sendMessage(this.#host, Buffer.from('BARRIER=1'), [theirs]);
    } finally {
      closeSync(theirs);
    }
    if (waitFor(ours, 0, PATIENCE) === 0)
      warn(
        `the host did not take note within ${PATIENCE / 1000} seconds that the container is ready`,
      );
    closeSync(ours);
  }
}
