import { closeSync, constants, fstatSync, openSync, read } from 'node:fs';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';
import { reason } from '../../runtime/linux/reason.ts';

const readSome = promisify(read);

const STDIN = 0;
const CHUNK = 256 * 1024;

/** A file or a pipe to be read once, from its beginning to its end. */
export interface InputFile {
  /** As the user named it. */
  readonly name: string;
  bytes(): AsyncGenerator<Uint8Array>;
  close(): void;
}

/**
 * Opens what a user names to be read.
 *
 * @param path a file, or `-` for standard input
 * @param signal ends the wait for more
 * @throws Error in one line for a directory, a terminal, or what can't be opened
 */
export function openInput(path: string, signal: AbortSignal): InputFile {
  const name = path === '-' ? 'standard input' : path;
  const fd = path === '-' ? STDIN : open(path);
  if (isatty(fd)) throw new Error(`${name} is a terminal: want a file or a pipe`);
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  stopped.catch(() => undefined);
  return {
    name,
    async *bytes() {
      for (;;) {
        signal.throwIfAborted();
        const buffer = Buffer.allocUnsafeSlow(CHUNK);
        const reading = readSome(fd, buffer, 0, CHUNK, null).catch((cause: unknown) => {
          throw new Error(`cannot read ${name}: ${reason(cause)}`, { cause });
        });
        const { bytesRead } = await Promise.race([reading, stopped]);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    },
    close: () => path !== '-' && closeSync(fd),
  };
}

function open(path: string): number {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOCTTY);
    if (fstatSync(fd).isDirectory()) throw new Error('it is a directory');
    return fd;
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    throw new Error(`cannot read ${path}: ${reason(cause)}`, { cause });
  }
}
