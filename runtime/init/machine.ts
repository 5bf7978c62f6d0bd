/** A place in the code; each machine has its own kind. */
export type Label = unknown;

/**
 * What the compiler needs of a processor: a dozen operations that every architecture
 * spells in its own way. R is the register that holds a system call's result; addresses
 * are those of init's data, fixed when the code is made.
 */
export interface Machine {
  /** Makes room for so many bytes of code: no more may follow until it is called again. */
  makeRoom(bytes: number): void;
  newLabel(): Label;
  bind(label: Label): void;
  jump(to: Label): void;
  /**
   * Makes a system call; its result is in R.
   *
   * @param values the arguments: constants, or addresses of 8 bytes that hold them
   * @param loads which are addresses: bit i for argument i
   */
  systemCall(nr: number, values: readonly (number | bigint)[], loads: number): void;
  /** R becomes a constant. */
  setResult(value: number | bigint): void;
  /** R is loaded from 8 bytes of memory. */
  loadResult(address: number): void;
  /** R is loaded from 8 bytes at the address that 8 bytes of memory hold. */
  loadFromPointer(address: number): void;
  /** Stores the low `width` bytes of R. */
  storeResult(address: number, width: 2 | 4 | 8): void;
  /** Stores -R, 4 bytes: an errno as a positive number. */
  storeErrno(address: number): void;
  /** Stores a constant of 4 bytes. */
  storeConstant(address: number, value: number): void;
  /** Stores the sum of 4 bytes of memory and a constant, 4 bytes. R is lost. */
  storeSum(address: number, from: number, value: number): void;
  /** Jumps when R is no error: not between -4095 and -1. */
  jumpIfSuccess(to: Label): void;
  /** Jumps when R is an error. */
  jumpIfError(to: Label): void;
  /** Jumps when R is -errno. */
  jumpIfErrno(errno: number, to: Label): void;
  /** Jumps when R is zero. */
  jumpIfZero(to: Label): void;
  /** Jumps when `width` bytes of memory, masked, equal a constant. Uses R. */
  jumpIfMemoryEquals(
    address: number,
    width: 1 | 2 | 4,
    mask: number,
    value: number,
    to: Label,
  ): void;
  /** Jumps when 4 bytes of memory are not a constant. R is lost. */
  jumpUnlessMemoryEquals(address: number, value: number, to: Label): void;
  /** Ends init by a signal: there is no way to go on. */
  trap(): void;
  /** The code. */
  finish(): Uint8Array;
}
