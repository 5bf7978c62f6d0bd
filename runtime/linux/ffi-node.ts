import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Port } from './port.ts';

/**
 * Opens the port under Node.js, through ffi-napi and ref-napi.
 *
 * @param here a file inside the installed package, from which the two packages are found
 * @throws Error in one line when either package is missing (both are optional
 *   dependencies: npm leaves them out where they could not be compiled)
 */
export function openNodePort(here: string): Port {
  const load = createRequire(here);
  let ffi: typeof import('ffi-napi');
  let ref: typeof import('ref-napi');
  try {
    [ffi, ref] = withoutStderr(() => [load('ffi-napi'), load('ref-napi')]);
  } catch (cause) {
    throw new Error(
      'the packages ffi-napi and ref-napi are missing: they are compiled at install, which needs ' +
        `python3, make and g++ (then run: npm install in ${join(here, '../../..')}); build/scow needs neither`,
      { cause },
    );
  }
  const word = 'int64';
  const libc = ffi.Library('libc.so.6', {
    syscall: [word, [word, word, word, word, word, word, word]],
  });
  const callable = new Map<number, (argument: Buffer) => void>();
  const pointerTo = (address: number) => {
    const cell = Buffer.alloc(8);
    cell.writeBigUInt64LE(BigInt(address));
    return ref.readPointer(cell, 0, 0);
  };
  return {
    addressOf: (bytes) =>
      ref.address(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
    memory: (address, length) => ref.reinterpret(pointerTo(address), length, 0),
    libcSyscall: (nr, ...args) => Number(libc.syscall(nr, ...args)),
    symbolOf(library, name) {
      try {
        return ref.address(new ffi.DynamicLibrary(library).get(name));
      } catch {
        return undefined;
      }
    },
    systemCall(code) {
      const words = [word, word, word, word, word, word, word] as const;
      const call = ffi.ForeignFunction(pointerTo(code), word, [...words]) as unknown as (
        ...words: number[]
      ) => number | string;
      return (...words) => Number(call(...words));
    },
    invoke(code, argument) {
      let call = callable.get(code);
      if (call === undefined) {
        call = ffi.ForeignFunction(pointerTo(code), 'void', [word]) as unknown as (
          argument: Buffer,
        ) => void;
        callable.set(code, call);
      }
      call(argument as unknown as Buffer);
    },
  };
}

/**
 * Loads packages without letting them touch `process.stderr`: they (and node:assert) ask it
 * whether it's a terminal, and Node.js then sets O_NONBLOCK on a pipe that the caller shares.
 */
function withoutStderr<T>(load: () => T): T {
  const stderr = Object.getOwnPropertyDescriptor(process, 'stderr');
  if (stderr === undefined) return load();
  const value = { fd: 2, isTTY: false };
  Object.defineProperty(process, 'stderr', { configurable: true, value });
  try {
    return load();
  } finally {
    Object.defineProperty(process, 'stderr', stderr);
  }
}
