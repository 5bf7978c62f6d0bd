import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { MFD, O } from '../../linux/constants.ts';
import { reason } from '../../linux/reason.ts';
import { SyscallError, trySyscall } from '../../linux/syscall.ts';
import type { ContainerState } from '../state.ts';

const { EINVAL } = constants.errno;

/** Annotations that name files for what hooks print, as crun has them. */
export const STDOUT = 'run.oci.hooks.stdout';
export const STDERR = 'run.oci.hooks.stderr';

/** Bytes of what a hook printed that an error tells. */
const MOST_BYTES = 1024;

/**
 * The standard streams of hooks: memory files. So a hook that does not read its input is not
 * waited for, nor a process that it leaves behind.
 */
export class HookStreams {
  /** The hook's standard input. */
  readonly state: number;
  readonly output: number;
  readonly errors: number;
  /** All three, by their names in a hook's plan. */
  readonly descriptors: Readonly<Record<string, number>>;
  readonly #opened: number[] = [];
  /** Where in the file of the errors those of the hook under way begin. */
  #start = 0;

  /** @throws Error in one line for a file of the annotations that cannot be opened */
  constructor({ annotations, bundle }: ContainerState) {
    try {
      const memory = this.#keep(memoryFile('hook output'));
      this.state = this.#keep(memoryFile('hook state'));
      this.output = this.#file(STDOUT, annotations, bundle) ?? memory;
      this.errors = this.#file(STDERR, annotations, bundle) ?? memory;
      const { state, output, errors } = this;
      this.descriptors = { 'hook state': state, 'hook output': output, 'hook errors': errors };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Prepares the streams for the next hook. @param state what it reads */
  begin(state: string): void {
    ftruncateSync(this.state, 0);
    for (const bytes = Buffer.from(state), at = { done: 0 }; at.done < bytes.length; )
      at.done += writeSync(this.state, bytes, at.done, bytes.length - at.done, at.done);
    this.#start = fstatSync(this.errors).size;
  }

  /** The last that the hook under way has printed on its standard error, or '' . */
  lastWords(): string {
    const { size } = fstatSync(this.errors);
    const bytes = Buffer.alloc(Math.min(MOST_BYTES, Math.max(0, size - this.#start)));
    const read = readSync(this.errors, bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString('utf8', 0, read).trim();
  }

  close(): void {
    for (const fd of this.#opened.splice(0)) closeSync(fd);
  }

  #file(
    name: string,
    annotations: ContainerState['annotations'],
    bundle: string,
  ): number | undefined {
    const given = annotations[name];
    if (!given) return undefined;
    const file = isAbsolute(given) ? given : join(bundle, given);
    try {
      // Also for reading: so opening a FIFO waits for nobody, and the hook's words can be told.
      return this.#keep(openSync(file, O.RDWR | O.CREAT | O.APPEND | O.NOCTTY | O.CLOEXEC, 0o600));
    } catch (cause) {
      throw new Error(
        `cannot open the file ${file} for the output of hooks: ${reason(cause)}  [/annotations/${name}]`,
        { cause },
      );
    }
  }

  #keep(fd: number): number {
    this.#opened.push(fd);
    return fd;
  }
}

/** A file in memory that everybody who writes to it appends to. */
export function memoryFile(name: string): number {
  let fd = trySyscall('memfd_create', name, MFD.CLOEXEC | MFD.NOEXEC_SEAL);
  // Kernels before 6.3 do not know the flag, which vm.memfd_noexec=2 demands.
  if (fd === -EINVAL) fd = trySyscall('memfd_create', name, MFD.CLOEXEC);
  if (fd < 0) throw new SyscallError('memfd_create', [name], -fd);
  return fd;
}
