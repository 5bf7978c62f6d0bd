import { F, O } from '../../linux/constants.ts';
import { poll } from '../../linux/poll.ts';
import { syscall } from '../../linux/syscall.ts';
import { type BorrowedTerminal, borrowTerminal } from './borrow.ts';
import { ownDescription } from './description.ts';
import { Flow, type Progress } from './flow.ts';
import { setWindowSize, windowSize } from './size.ts';
import { plainLineEnds, readTermios, writeTermios } from './termios.ts';

/** What the relay connects. */
export interface RelayOptions {
  /** The master of the container's terminal; the relay closes it at its end. */
  readonly master: number;
  /** What the caller types on: a terminal, or anything else. */
  readonly input: number;
  /** Where the caller looks. */
  readonly output: number;
}

/** A relay at work. */
export interface Relay {
  /**
   * Ends the relay after the container's process has exited: writes what its terminal still
   * holds, and gives the caller's terminal back.
   *
   * @returns when the last byte is written; at once when the output is gone
   */
  finish(): Promise<void>;
  /** Gives the caller's terminal back at once and stops copying. */
  restore(): void;
}

/**
 * How long one turn waits, in milliseconds. Signals, keys and output end the wait at once;
 * only timers, and a signal that came just before the wait, are late by so much.
 */
const PATIENCE = 100;

/**
 * Connects the caller's terminal with the container's: raw mode, keys in, output out, and the
 * size of the window, until `finish`. Start it before the container's process.
 *
 * It waits in poll(2) itself, in turns with the engine's event loop: the engines' own streams
 * would set O_NONBLOCK on descriptions that are shared with the caller.
 *
 * @throws Error (EBADF) when a descriptor is not open
 */
export function startRelay(options: RelayOptions): Relay {
  return new TerminalRelay(options);
}

class TerminalRelay implements Relay {
  readonly #options: RelayOptions;
  readonly #opened: readonly number[];
  readonly #keys: Flow;
  readonly #screen: Flow;
  readonly #borrowed: BorrowedTerminal;
  readonly #stopped: Promise<void>;
  #reportStop: () => void = () => {};
  #running = true;
  #keysEnded = false;
  #finishing = false;
  /** No process has the container's terminal open: one may open it again later. */
  #unused = false;

  constructor(options: RelayOptions) {
    const { master, input, output } = options;
    const keys = ownDescription(input, O.RDONLY);
    const screen = ownDescription(output, O.WRONLY);
    syscall('fcntl', master, F.SETFL, syscall('fcntl', master, F.GETFL) | O.NONBLOCK);
    this.#options = options;
    this.#stopped = new Promise((resolve) => {
      this.#reportStop = resolve;
    });
    this.#opened = [master, keys.fd, screen.fd];
    this.#keys = new Flow(keys.fd, master, keys.blocks);
    this.#screen = new Flow(master, screen.fd, screen.blocks);
    this.#borrowed = borrowTerminal(input, !this.#endLinesOnce());
    process.on('SIGWINCH', this.#resize);
    // Before the engine prints it; and Bun would go on for as long as there is something to do.
    process.on('uncaughtExceptionMonitor', this.#stop);
    this.#resize();
    setImmediate(this.#turn);
  }

  finish(): Promise<void> {
    this.#finishing = true;
    return this.#stopped;
  }

  restore(): void {
    this.#stop();
  }

  /**
   * Exactly one terminal shall turn \n into \r\n. Between two terminals it is the container's,
   * as its programs expect; one that writes to a file or pipe gets plain lines, and the
   * caller's terminal goes on to serve those who read the pipe.
   *
   * @returns whether the container's terminal leaves it to others
   */
  #endLinesOnce(): boolean {
    const { master, input, output } = this.#options;
    if (readTermios(input) !== undefined && readTermios(output) !== undefined) return false;
    const termios = readTermios(master);
    if (termios !== undefined) writeTermios(master, plainLineEnds(termios));
    return true;
  }

  readonly #resize = (): void => {
    const { master, input, output } = this.#options;
    const size = windowSize(input) ?? windowSize(output);
    if (size !== undefined) setWindowSize(master, size);
  };

  readonly #turn = (): void => {
    if (!this.#running) return;
    const flows: Flow[] = [];
    if (!this.#unused) flows.push(this.#screen);
    if (!this.#keysEnded && !this.#finishing) flows.push(this.#keys);
    this.#unused = false;
    const draining = this.#finishing && !this.#screen.pending;
    const happened = poll(
      flows.map((flow) => flow.waitsFor),
      draining ? 0 : PATIENCE,
    );
    for (const [i, flow] of flows.entries()) {
      if (!this.#running || !happened?.[i]) continue;
      // The engine may tell of a new size only later, but keys must not overtake it.
      if (flow === this.#keys) this.#resize();
      this.#settle(flow, flow.turn());
    }
    if (draining && happened?.[0] === 0) this.#stop();
    setImmediate(this.#turn);
  };

  #settle(flow: Flow, progress: Progress): void {
    if (flow === this.#keys) {
      if (progress === 'source ended') this.#keysEnded = true;
    } else if (progress === 'sink ended' || (progress === 'source ended' && this.#finishing)) {
      // Without anyone who looks, the terminal hangs up, as when its window is closed.
      this.#stop();
    } else if (progress === 'source ended') {
      this.#unused = true;
    }
  }

  readonly #stop = (): void => {
    if (!this.#running) return;
    this.#running = false;
    process.off('SIGWINCH', this.#resize);
    process.off('uncaughtExceptionMonitor', this.#stop);
    for (const fd of this.#opened) syscall('close', fd);
    this.#borrowed.restore();
    this.#reportStop();
  };
}
