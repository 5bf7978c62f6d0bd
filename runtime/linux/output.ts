import { codeOf, reason } from './reason.ts';

export const STDOUT = 1;
export const STDERR = 2;

/**
 * Writes text or bytes whole. Not through the engine's streams, which would leave O_NONBLOCK on a
 * descriptor that belongs to our caller, and lose what is not written at exit.
 *
 * @throws Error when it cannot be written
 */
export function write(fd: number, content: string | Uint8Array): void {
  // Loaded when something is written: most commands are silent (docs/decisions/start-cost.md).
  const { writeSync } = process.getBuiltinModule('node:fs');
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      // The caller's own end may be non-blocking: wait for its reader.
      if (codeOf(error) !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** Writes text or bytes whole to standard output. @throws Error in one line when it cannot be written */
export function print(content: string | Uint8Array): void {
  try {
    write(STDOUT, content);
  } catch (cause) {
    throw new Error(`cannot write to standard output: ${reason(cause)}`, { cause });
  }
}
