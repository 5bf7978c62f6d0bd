/** Integers between ±2^53, the system call's number first. */
export type SystemCall = (
  nr: number,
  ...args: [number, number, number, number, number, number]
) => number;

/**
 * The port to native code: all that scow needs of a foreign function interface.
 *
 * Each engine (Node.js, Bun) has an adapter that implements it, and an entry point
 * that installs the adapter before anything else runs. Everything above this file is
 * buffers, their addresses, and stubs of machine code (see stubs.ts).
 */
export interface Port {
  /**
   * The address of a buffer's first byte. It stays valid for as long as the caller
   * keeps the buffer reachable.
   */
  addressOf(bytes: Uint8Array): number;
  /** A view of `length` bytes of this process's memory, starting at `address`. */
  memory(address: number, length: number): Uint8Array;
  /**
   * libc's `syscall(2)`, used only to map the page that the stubs live in: the errno
   * it leaves may be overwritten by the engine before anyone reads it.
   */
  libcSyscall(nr: number, ...args: [number, number, number, number, number, number]): number;
  /**
   * The address of a function of a library that the engine itself is linked to, so that it is
   * loaded already: Bun would look for any other in the current folder too.
   *
   * @returns undefined when the library has no such function
   */
  symbolOf(library: string, name: string): number | undefined;
  /** The machine code at `code` as a function of seven 64-bit integers that returns one. */
  systemCall(code: number): SystemCall;
  /** Calls the machine code at `code` as `void (*)(void *argument)`. */
  invoke(code: number, argument: number): void;
}

let open: (() => Port) | undefined;
let installed: Port | undefined;

/**
 * Registers the engine's adapter. Setting up an FFI costs a millisecond or more, so it
 * is opened at the first native call: commands that need none don't pay for it.
 *
 * @param opener opens the adapter; it may throw when the engine's FFI package is missing
 */
export function installPort(opener: () => Port): void {
  open = opener;
  installed = undefined;
}

/**
 * The engine's port.
 *
 * @throws Error when no adapter was installed, or the adapter's package is missing
 */
export function port(): Port {
  if (installed === undefined) {
    if (open === undefined) throw new Error('no FFI adapter installed: start scow through bin/');
    installed = open();
  }
  return installed;
}
