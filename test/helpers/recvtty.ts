import { once } from 'node:events';
import { closeSync, rmSync, writeSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { AF_UNIX, F, O, SOCK } from '../../runtime/linux/constants.ts';
import { receiveMessage } from '../../runtime/linux/socket.ts';
import { syscall, trySyscall } from '../../runtime/linux/syscall.ts';
import { moment, readNow } from './pty.ts';

/** `sockaddr_un`: the path has to be short. */
function address(path: string): Uint8Array {
  const bytes = new Uint8Array(110);
  bytes[0] = AF_UNIX;
  bytes.set(Buffer.from(path), 2);
  return bytes;
}

/** Listens on a console socket for whoever takes terminals and lets go of them. The caller closes it. */
export async function listenForTerminals(path: string): Promise<Server> {
  const server = createServer((connection) => connection.resume());
  await once(server.listen(path), 'listening');
  return server;
}

/**
 * Whoever listens on a console socket and takes the container's terminal, as an engine does.
 */
export class TerminalReceiver {
  readonly path: string;
  /** What the message said; the name of the master. */
  name = '';
  /** What the container wrote so far. */
  output = '';
  #listening: number;
  #master = -1;
  #closed = false;

  /** @param path where to listen, shorter than 108 bytes; is removed by `close` */
  constructor(path: string) {
    this.path = path;
    this.#listening = syscall('socket', AF_UNIX, SOCK.STREAM | SOCK.CLOEXEC | SOCK.NONBLOCK, 0);
    const name = address(path);
    syscall('bind', this.#listening, name, name.byteLength);
    syscall('listen', this.#listening, 1);
  }

  /** Waits for the master, which it then holds. */
  async receive(): Promise<number> {
    let connection: number;
    do {
      await moment();
      this.#mustBeOpen();
      connection = trySyscall('accept', this.#listening, 0, 0);
    } while (connection < 0);
    const message = receiveMessage(connection, 4096, 1);
    closeSync(connection);
    const master = message?.descriptors[0];
    if (master === undefined) throw new Error('no terminal came through the console socket');
    this.name = Buffer.from(message?.bytes ?? []).toString();
    this.#master = master;
    syscall('fcntl', master, F.SETFL, syscall('fcntl', master, F.GETFL) | O.NONBLOCK);
    return master;
  }

  type(keys: string): void {
    writeSync(this.#master, keys);
  }

  /** Waits until the container's output has this. */
  async sees(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      this.#mustBeOpen();
      this.output += readNow(this.#master).toString('latin1');
      const found = pattern.exec(this.output);
      if (found !== null) return found;
      await moment();
    }
  }

  /** A test that failed meanwhile must not keep jest from its end. */
  #mustBeOpen(): void {
    if (this.#closed) throw new Error('the receiver was closed while a test waited for it');
  }

  /** @param keepFile leave the socket's file behind, as a listener that died does */
  close({ keepFile = false } = {}): void {
    this.#closed = true;
    closeSync(this.#listening);
    if (this.#master >= 0) closeSync(this.#master);
    if (!keepFile) rmSync(this.path, { force: true });
  }
}
