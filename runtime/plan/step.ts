import type { SyscallName } from '../linux/numbers.ts';

/** A constant that is shown by its names: `O_PATH|O_CLOEXEC`. */
export interface Flags {
  readonly flags: number | bigint;
  readonly text: string;
}

/** The result of an earlier step, by its name. */
export interface Result {
  readonly result: string;
}

/** A zeroed buffer inside init that calls write to, by its name. Its value is its address. */
export interface Place {
  readonly place: string;
  /** Bytes. Every mention of a place gives the same size. */
  readonly size: number;
}

/** One field of a structure. */
export interface Field {
  readonly name: string;
  /** Bytes. */
  readonly width: 2 | 4 | 8;
  readonly value: Value;
}

/** A structure in init's memory, its fields one after another without padding. Its value is its address. */
export interface Struct {
  readonly struct: string;
  readonly fields: readonly Field[];
}

/** Bytes in init's memory. Its value is their address. */
export interface Bytes {
  readonly bytes: Uint8Array;
}

/** A descriptor that init was born with, by its name in the plan's descriptor list. */
export interface Inherited {
  readonly inherited: string;
}

/** An argument of a step. A string stands for the address of a NUL-terminated copy. */
export type Value = number | bigint | string | Flags | Result | Place | Struct | Bytes | Inherited;

/** Where a step comes from. */
export interface Origin {
  /** JSON pointer of the part of config.json that asked for it; '' for scow itself. */
  readonly pointer: string;
  /** What the step is for, as a phrase that completes «cannot …». */
  readonly why: string;
}

/** A system call. */
export interface CallStep extends Origin {
  readonly kind: 'call';
  readonly name: SyscallName;
  readonly args: readonly Value[];
  /** Errno names that count as success (the result is then not kept). */
  readonly tolerate?: readonly string[] | undefined;
  /** Errno names that make the call again: interruptions and lost races. */
  readonly retry?: readonly string[] | undefined;
  /** Keeps the result under this name. */
  readonly result?: string | undefined;
}

/** Tells scow that a point is reached; with `answer`, waits until scow says to go on. */
export interface ReportStep extends Origin {
  readonly kind: 'report';
  readonly point: string;
  /** Descriptors to hand over. */
  readonly send?: readonly Value[];
  /** A number to hand over. */
  readonly value?: Value;
  /** Wait for scow's answer, whose bytes go into the place if one is given. */
  readonly answer?: { readonly into?: Place };
}

/** Compares memory that a call wrote, and fails with `errno` when it is not as it must be. */
export interface CheckStep extends Origin {
  readonly kind: 'check';
  readonly at: Place;
  /** Bytes from the start of the place. */
  readonly offset: number;
  readonly width: 1 | 2 | 4;
  readonly mask?: number;
  readonly equals: number;
  readonly errno: string;
}

/**
 * Tries lists of steps in order until one succeeds. A list is given up when a step of it
 * fails with an errno named in `on`; any other failure, and any of the last list, is final.
 */
export interface FirstStep extends Origin {
  readonly kind: 'first';
  readonly of: readonly (readonly Step[])[];
  readonly on: readonly string[];
}

/** Keeps a value under a name, as if a call had returned it. */
export interface SetStep extends Origin {
  readonly kind: 'set';
  readonly result: string;
  readonly value: Value;
}

/**
 * Goes on in a new process, a child of scow like this one, in the PID namespace that this
 * process joined or made for its children; the new one reports its PID, this one ends.
 */
export interface ForkStep extends Origin {
  readonly kind: 'fork';
}

/**
 * Leaves a number where scow can read it, in the progress page: without a system call, which a
 * seccomp filter may forbid. A plan has one such step at most.
 */
export interface TellStep extends Origin {
  readonly kind: 'tell';
  readonly value: Value;
}

/**
 * Starts a child that makes steps of its own, and does not come back from the last: an execve.
 * Reports a pidfd of it and waits until scow says that it ended; then reports its status, as
 * wait(2) has it, and waits until scow says to go on.
 */
export interface SpawnStep extends Origin {
  readonly kind: 'spawn';
  readonly of: readonly Step[];
}

/**
 * Makes the same steps for each of some values in turn, by one loop: calls, checks, alternatives of
 * such and what sets a value.
 */
export interface EachStep extends Origin {
  readonly kind: 'each';
  /** By this name the steps know the value whose turn it is: a result. */
  readonly as: string;
  /** At least one. */
  readonly values: readonly (number | string)[];
  readonly of: readonly Step[];
  /** Where the steps come from when it is the turn of a value, by its index. */
  readonly origin: (index: number) => Origin;
}

export type Step =
  | CallStep
  | ReportStep
  | CheckStep
  | EachStep
  | FirstStep
  | SetStep
  | ForkStep
  | TellStep
  | SpawnStep;

/** What `call` takes besides the system call itself. */
export type CallOptions = Origin & Pick<CallStep, 'tolerate' | 'retry' | 'result'>;

/** Makes a system call step. */
export function call(
  name: SyscallName,
  args: readonly Value[],
  { pointer, why, tolerate, retry, result }: CallOptions,
): CallStep {
  // Not by `...`: that takes ten times as long, and a plan has some hundred calls.
  return { kind: 'call', name, args, pointer, why, tolerate, retry, result };
}

/** Names the result of an earlier step. */
export function result(name: string): Result {
  return { result: name };
}

/** Names a descriptor that init is born with. */
export function inherited(name: string): Inherited {
  return { inherited: name };
}

/** Names a buffer of `size` bytes. */
export function place(name: string, size: number): Place {
  return { place: name, size };
}

/** Makes a structure of the given fields. */
export function struct(
  name: string,
  ...fields: readonly (readonly [name: string, width: 2 | 4 | 8, value: Value])[]
): Struct {
  return {
    struct: name,
    fields: fields.map(([field, width, value]) => ({ name: field, width, value })),
  };
}

/** An array of pointers that ends with NULL: argv, envp. */
export function pointers(name: string, values: readonly Value[]): Struct {
  return struct(name, ...values.map((value, i) => [String(i), 8, value] as const), [
    'end',
    8,
    0,
  ] as const);
}

/** Joins named constants: `flags('O', O, 'PATH', 'CLOEXEC')` is shown as `O_PATH|O_CLOEXEC`. */
export function flags<T extends Record<string, number>>(
  prefix: string,
  table: T,
  ...names: readonly (keyof T & string)[]
): Flags {
  // Added, not or-ed: some of clone's flags lie beyond the 32 bits of JavaScript's «|».
  let value = 0;
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as keyof T & string;
    if (names.indexOf(name) === i) value += table[name] as number;
  }
  return new NamedFlags(value, prefix, names);
}

/** Most plans are never shown: the text is made when it is asked for. */
class NamedFlags implements Flags {
  readonly flags: number;
  readonly #prefix: string;
  readonly #names: readonly string[];

  constructor(value: number, prefix: string, names: readonly string[]) {
    this.flags = value;
    this.#prefix = prefix;
    this.#names = names;
  }

  get text(): string {
    if (this.#names.length === 0) return '0';
    return this.#names.map((name) => `${this.#prefix}_${name}`).join('|');
  }
}
