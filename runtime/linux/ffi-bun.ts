import { CFunction, dlopen, FFIType, type Pointer, ptr, toArrayBuffer } from 'bun:ffi';
import type { Port } from './port.ts';

/** Opens the port under Bun, through the engine's own bun:ffi. */
export function openBunPort(): Port {
  const word = FFIType.i64_fast;
  const libc = dlopen('libc.so.6', {
    syscall: { args: [word, word, word, word, word, word, word], returns: word },
  });
  const callable = new Map<number, (argument: number) => void>();
  return {
    addressOf: (bytes) => (bytes.byteLength === 0 ? 0 : Number(ptr(bytes))),
    memory: (address, length) => new Uint8Array(toArrayBuffer(address as Pointer, 0, length)),
    libcSyscall: (nr, ...args) => Number(libc.symbols.syscall(nr, ...args)),
    symbolOf(library, name) {
      try {
        const { symbols } = dlopen(library, { [name]: { args: [], returns: FFIType.void } });
        return (symbols[name] as unknown as { ptr: number }).ptr;
      } catch {
        return undefined;
      }
    },
    systemCall(code) {
      const call = CFunction({
        ptr: code as Pointer,
        args: [word, word, word, word, word, word, word],
        returns: word,
      }) as unknown as (...words: number[]) => number | bigint;
      return (nr, a, b, c, d, e, f) => Number(call(nr, a, b, c, d, e, f));
    },
    invoke(code, argument) {
      let call = callable.get(code);
      if (call === undefined) {
        call = CFunction({
          ptr: code as Pointer,
          args: [word],
          returns: FFIType.void,
        }) as unknown as (argument: number) => void;
        callable.set(code, call);
      }
      call(argument);
    },
  };
}
