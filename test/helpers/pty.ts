import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import {
  setWindowSize,
  type WindowSize,
  windowSize,
} from '../../runtime/container/terminal/size.ts';
import { F, O, TIO } from '../../runtime/linux/constants.ts';
import { syscall } from '../../runtime/linux/syscall.ts';

/** Opens a terminal: its master and its slave, both close-on-exec. */
export function openTerminal(): { master: number; slave: number } {
  const { O_RDWR, O_NOCTTY } = constants;
  const master = openSync('/dev/ptmx', O_RDWR | O_NOCTTY);
  syscall('ioctl', master, TIO.SPTLCK, new Uint8Array(4));
  const slave = syscall('ioctl', master, TIO.GPTPEER, O.RDWR | O.NOCTTY | O.CLOEXEC);
  return { master, slave };
}

/** Reads what a descriptor that does not block has now; '' when nothing, or at its end. */
export function readNow(fd: number): Buffer {
  const parts: Buffer[] = [];
  for (;;) {
    const part = Buffer.alloc(65536);
    try {
      const count = readSync(fd, part);
      if (count === 0) return Buffer.concat(parts);
      parts.push(part.subarray(0, count));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN' || code === 'EIO') return Buffer.concat(parts);
      throw error;
    }
  }
}

/** Lets other things happen for a moment. */
export const moment = () => new Promise((resolve) => setTimeout(resolve, 5));

/** How a program ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The standard streams of a program on a terminal: 'terminal', or a descriptor instead. */
export type Streams = readonly ['terminal' | number, 'terminal' | number, 'terminal' | number];

/**
 * A person at a terminal, with a program on it: types, looks at the screen, pulls at the
 * window's corner. The terminal stays open after the program has ended.
 */
export class Terminal {
  readonly master: number;
  readonly slave: number;
  /** Everything that was written to the screen so far. */
  screen = '';
  #unseen = 0;
  #closed = false;

  constructor(size: WindowSize = { rows: 24, columns: 80 }) {
    const { master, slave } = openTerminal();
    this.master = master;
    this.slave = slave;
    setWindowSize(master, size);
    const flags = syscall('fcntl', master, F.GETFL);
    syscall('fcntl', master, F.SETFL, flags | O.NONBLOCK);
  }

  /** Runs a program with this as its controlling terminal. */
  run(
    command: readonly string[],
    options: { streams?: Streams; env?: NodeJS.ProcessEnv; cwd?: string } = {},
  ): { child: ChildProcess; ended: Promise<Exit> } {
    const { streams = ['terminal', 'terminal', 'terminal'], ...others } = options;
    const stdio = streams.map((stream) => (stream === 'terminal' ? this.slave : stream));
    // setsid becomes the program: it need not fork, for a child of ours leads no group. Its
    // standard input has to be the terminal, so the program gets its own through descriptors.
    const script = 'exec "$@" <&3 >&4 2>&5 3<&- 4>&- 5>&-';
    const child = spawn('setsid', ['--ctty', 'sh', '-c', script, 'sh', ...command], {
      ...others,
      stdio: [this.slave, 'ignore', 'inherit', ...stdio],
    });
    const ended = new Promise<Exit>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => resolve({ code, signal }));
    });
    return { child, ended };
  }

  type(keys: string): void {
    writeSync(this.master, keys);
  }

  /** Gives the window another size, of which the program hears by SIGWINCH. */
  resize(size: WindowSize): void {
    setWindowSize(this.master, size);
  }

  get size(): WindowSize | undefined {
    return windowSize(this.slave);
  }

  /** Waits until the screen shows something that it did not show at the last call. */
  async sees(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      // A test that failed meanwhile must not keep jest from its end.
      if (this.#closed) throw new Error(`the screen never showed ${pattern}`);
      this.look();
      const found = pattern.exec(this.screen.slice(this.#unseen));
      if (found !== null) {
        this.#unseen += found.index + found[0].length;
        return found;
      }
      await moment();
    }
  }

  /** Takes what was written to the screen meanwhile. */
  look(): string {
    this.screen += readNow(this.master).toString('latin1');
    return this.screen;
  }

  /** The terminal's settings, as `stty -g` shows them. */
  settings(): string {
    const termios = new Uint8Array(36);
    syscall('ioctl', this.slave, TIO.TCGETS, termios);
    return Buffer.from(termios).toString('hex');
  }

  /** The status flags of the description that the program's streams share with us. */
  flags(): number {
    return syscall('fcntl', this.slave, F.GETFL);
  }

  close(): void {
    this.#closed = true;
    closeSync(this.master);
    closeSync(this.slave);
  }
}
