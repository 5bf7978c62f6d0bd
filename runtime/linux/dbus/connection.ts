import { closeSync } from 'node:fs';
import { POLL, SOCK } from '../constants.ts';
import { poll, waitFor } from '../poll.ts';
import { codeOf } from '../reason.ts';
import { connectUnix, receiveMessage, sendMessage } from '../socket.ts';
import type { Value } from './marshal.ts';
import {
  decodeMessage,
  encodeCall,
  type Message,
  type MethodCall,
  messageLength,
} from './message.ts';

/**
 * Proves who we are by the credentials that the kernel has of a socket's other end. No user ID is
 * named: in a user namespace it would be another than the one that the server sees. All of it
 * is sent at once, as sd-bus does.
 */
const AUTHENTICATION = '\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n';
const LINE_FEED = 10;
/** Bytes that are taken off the socket at once. */
const CHUNK = 65536;
/** Milliseconds between attempts to connect to a server whose queue is full. */
const PAUSE = 50;

/** The other side gave no answer in time. */
export class NoAnswer extends Error {}

/** The other side answered with an error. */
export class ErrorReply extends Error {
  /** Such as `org.freedesktop.DBus.Error.AccessDenied`. */
  readonly errorName: string;

  constructor(name: string, message: string) {
    super(message.replace(/\s*\n\s*/g, ' ') || name);
    this.errorName = name;
  }
}

/**
 * A connection to a message bus, or to a program that speaks D-Bus without one. All its methods
 * wait; nothing is done in the background.
 */
export class Connection {
  readonly #socket: number;
  readonly #limit: number;
  #received: Uint8Array = new Uint8Array();
  readonly #signals: Message[] = [];
  #serial = 0;
  #silent = false;

  private constructor(socket: number, limit: number) {
    this.#socket = socket;
    this.#limit = limit;
  }

  /**
   * Connects to a socket and authenticates.
   *
   * @param path absolute, or `@name` in the abstract namespace
   * @param limit milliseconds that each answer may take
   * @throws NoAnswer
   * @throws Error of what else is wrong
   */
  static open(path: string, limit: number): Connection {
    const deadline = performance.now() + limit;
    const connection = new Connection(connect(path, deadline), limit);
    try {
      connection.#authenticate(deadline);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Nothing else may be called afterwards. */
  close(): void {
    closeSync(this.#socket);
  }

  /**
   * Calls a method and waits for its answer.
   *
   * @returns what the method returns
   * @throws ErrorReply
   * @throws NoAnswer; what is called after that is not even asked
   * @throws Error when the connection ends
   */
  call(method: MethodCall): readonly Value[] {
    const deadline = performance.now() + this.#limit;
    this.#serial += 1;
    const serial = this.#serial;
    this.#send(encodeCall(method, serial));
    for (;;) {
      const message = this.#next(deadline);
      if (message.type === 'signal') this.#signals.push(message);
      if (message.replySerial !== serial) continue;
      const body = message.body();
      if (message.type === 'reply') return body;
      const [text] = body;
      throw new ErrorReply(message.errorName ?? '', typeof text === 'string' ? text : '');
    }
  }

  /**
   * Waits for a signal, also one that came earlier.
   *
   * @param wanted whether it is the one
   * @returns what came with it
   * @throws NoAnswer
   * @throws Error when the connection ends
   */
  awaitSignal(member: string, wanted: (body: readonly Value[]) => boolean): readonly Value[] {
    const deadline = performance.now() + this.#limit;
    for (;;) {
      const message = this.#signals.shift() ?? this.#next(deadline);
      if (message.type !== 'signal' || message.member !== member) continue;
      const body = message.body();
      if (wanted(body)) return body;
    }
  }

  /** The server's lines end with CR and LF; `OK` is the last before messages. */
  #authenticate(deadline: number): void {
    this.#send(Buffer.from(AUTHENTICATION));
    for (;;) {
      const end = this.#received.indexOf(LINE_FEED);
      if (end < 0) {
        this.#receive(deadline);
        continue;
      }
      const line = Buffer.from(this.#received.subarray(0, end)).toString('latin1').trim();
      this.#received = this.#received.subarray(end + 1);
      if (line.startsWith('OK')) return;
      if (!line.startsWith('DATA')) throw new Error(`it refuses this user: ${line}`);
    }
  }

  #next(deadline: number): Message {
    for (;;) {
      const length = messageLength(this.#received);
      if (length !== undefined && length <= this.#received.byteLength) {
        const message = decodeMessage(this.#received.subarray(0, length));
        this.#received = this.#received.subarray(length);
        return message;
      }
      this.#receive(deadline);
    }
  }

  #send(bytes: Uint8Array): void {
    if (this.#silent) throw this.#noAnswer();
    try {
      sendMessage(this.#socket, bytes);
    } catch (error) {
      if (codeOf(error) === 'EAGAIN') throw this.#noAnswer();
      throw error;
    }
  }

  #receive(deadline: number): void {
    if (waitFor(this.#socket, POLL.IN, deadline - performance.now()) === 0) throw this.#noAnswer();
    const message = receiveMessage(this.#socket, CHUNK);
    if (message === undefined) throw new Error('it closed the connection');
    this.#received = Buffer.concat([this.#received, message.bytes]);
  }

  #noAnswer(): NoAnswer {
    this.#silent = true;
    return new NoAnswer(`no answer within ${this.#limit / 1000} seconds`);
  }
}

/** A full queue of connections is waited for here: the kernel would wait without a limit. */
function connect(path: string, deadline: number): number {
  for (;;) {
    try {
      return connectUnix(path, SOCK.STREAM | SOCK.NONBLOCK);
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error;
      if (performance.now() > deadline) throw new NoAnswer('it takes no connections');
      poll([], PAUSE);
    }
  }
}
