import { port } from './port.ts';
import { type Argument, callFunctions } from './syscall.ts';

const RTLD_NOW = 2;
/** Bytes of the loader's error message. */
const LONGEST_TEXT = 1024;

/** A call of one of a library's functions. */
export interface LibraryCall {
  readonly name: string;
  readonly args: readonly Argument[];
}

/** A shared library cannot be loaded: `message` is the system's own text. */
export class LibraryMissing extends Error {}

/**
 * A shared library of the system, and its functions. It is loaded by libc's own dlopen(3), not by
 * the engine's: nothing but the system's directories is searched.
 */
export class SharedLibrary {
  readonly #handle: number;
  readonly #addresses = new Map<string, number>();

  private constructor(handle: number) {
    this.#handle = handle;
  }

  /**
   * Loads a library, for the rest of the process's life.
   *
   * @param name such as `libseccomp.so.2`, without a directory
   * @throws LibraryMissing
   */
  static load(name: string): SharedLibrary {
    const [dlopen, dlerror, snprintf] = ['dlopen', 'dlerror', 'snprintf'].map(loaderFunction);
    const text = Buffer.alloc(LONGEST_TEXT);
    // In one go: any other use of the loader, such as the engine's own, would change its last error.
    const [handle = 0] = callFunctions([
      { address: dlopen as number, args: [name, RTLD_NOW] },
      { address: dlerror as number, args: [] },
      { address: snprintf as number, args: [text, LONGEST_TEXT, '%s', { resultOf: 1 }] },
    ]);
    if (handle === 0) throw new LibraryMissing(text.toString('utf8', 0, text.indexOf(0)));
    return new SharedLibrary(handle);
  }

  /** Whether the library has a function of this name. */
  has(name: string): boolean {
    return this.#find(name) !== 0;
  }

  /** Where a function is. @throws Error when the library has none of that name */
  address(name: string): number {
    const address = this.#find(name);
    if (address === 0) throw new Error(`the library has no function ${name}`);
    return address;
  }

  /**
   * Calls functions in order.
   *
   * @returns their results: 64 bits each, of which an `int` fills the lower half
   * @throws Error when the library has no function of that name
   */
  call(calls: readonly LibraryCall[]): number[] {
    return callFunctions(calls.map(({ name, args }) => ({ address: this.address(name), args })));
  }

  #find(name: string): number {
    let address = this.#addresses.get(name);
    if (address === undefined) {
      const dlsym = loaderFunction('dlsym');
      [address = 0] = callFunctions([{ address: dlsym, args: [this.#handle, name] }]);
      this.#addresses.set(name, address);
    }
    return address;
  }
}

const found = new Map<string, number>();

/** A function of the C library. Those of the loader moved from libdl into libc in glibc 2.34. */
function loaderFunction(name: string): number {
  const { symbolOf } = port();
  const address = found.get(name) ?? symbolOf('libc.so.6', name) ?? symbolOf('libdl.so.2', name);
  if (address === undefined) throw new LibraryMissing(`the C library has no ${name}`);
  found.set(name, address);
  return address;
}
