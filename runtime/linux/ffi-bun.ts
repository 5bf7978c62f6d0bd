import type { Port } from './port.ts';

/** A C function, as the engine calls it: of 64-bit words each. */
type Native = (...words: number[]) => number | bigint;
interface Signature {
  readonly args: readonly string[];
  readonly returns: string;
}

/**
 * What bun:ffi stands on. That module is parsed at each start and only throws what these return as
 * errors: without it `run` is a millisecond shorter (docs/decisions/start-cost.md).
 */
interface BunFfi {
  readonly cfunction: (it: Signature & { readonly ptr: number }, name: string) => Native | Error;
  readonly dlopen: (
    library: string,
    symbols: Readonly<Record<string, Signature>>,
  ) => { readonly symbols: Readonly<Record<string, Native & { readonly ptr: number }>> } | Error;
  readonly ptr: (bytes: Uint8Array) => number;
  readonly toArrayBuffer: (address: number, offset: number, length: number) => ArrayBuffer | Error;
}

const WORD = 'i64_fast';
const SEVEN_WORDS: Signature = { args: Array(7).fill(WORD), returns: WORD };
const ONE_WORD: Signature = { args: [WORD], returns: 'void' };

/** Opens the port under Bun, through the engine's own calls of C functions. */
export function openBunPort(): Port {
  const { cfunction, dlopen, ptr, toArrayBuffer } = (Bun as unknown as { FFI: BunFfi }).FFI;
  const { syscall } = checked(dlopen('libc.so.6', { syscall: SEVEN_WORDS })).symbols;
  if (syscall === undefined) throw new Error('the C library has no syscall(2)');
  const callable = new Map<number, Native>();
  return {
    addressOf: (bytes) => (bytes.byteLength === 0 ? 0 : ptr(bytes)),
    memory: (address, length) => new Uint8Array(checked(toArrayBuffer(address, 0, length))),
    libcSyscall: (nr, ...args) => Number(syscall(nr, ...args)),
    symbolOf(library, name) {
      const opened = dlopen(library, { [name]: { args: [], returns: 'void' } });
      return opened instanceof Error ? undefined : opened.symbols[name]?.ptr;
    },
    systemCall(code) {
      const call = checked(cfunction({ ptr: code, ...SEVEN_WORDS }, 'systemCall'));
      return (nr, a, b, c, d, e, f) => Number(call(nr, a, b, c, d, e, f));
    },
    invoke(code, argument) {
      let call = callable.get(code);
      if (call === undefined) {
        call = checked(cfunction({ ptr: code, ...ONE_WORD }, 'invoke'));
        callable.set(code, call);
      }
      call(argument);
    },
  };
}

/** @throws what the engine returned as an error */
function checked<T>(result: T | Error): T {
  if (result instanceof Error) throw result;
  return result;
}
