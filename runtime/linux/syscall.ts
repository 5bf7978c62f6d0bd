import { type Argument, CallTable, cString, type ResultOf, writeText } from './call-table.ts';
import { errnoName, explainErrno } from './errno.ts';
import { NUMBERS, type SyscallName } from './numbers.ts';
import { port, type SystemCall } from './port.ts';
import { assembleCalls, assembleStubs, assembleThread, SPAWN } from './x86-64/stubs.ts';

export type { Argument, SyscallName };

/** One call of a batch. */
export interface Call {
  readonly name: SyscallName;
  readonly args: readonly Argument[];
  /** Skip the rest of the batch when this call fails. */
  readonly stopOnError?: boolean;
}

/** A call of a C function that takes integers and addresses: at most six. */
export interface FunctionCall {
  readonly address: number;
  readonly args: readonly Argument[];
}

/** A system call that failed, with what it was asked to do. */
export class SyscallError extends Error {
  readonly syscall: SyscallName;
  readonly args: readonly Argument[];
  /** The errno value, positive. */
  readonly errno: number;
  /** The errno's name, as Node's own errors have it. */
  readonly code: string;

  constructor(syscall: SyscallName, args: readonly Argument[], errno: number) {
    super(`${syscall}(${args.map(describe).join(', ')}): ${explainErrno(errno)}`);
    this.name = 'SyscallError';
    this.syscall = syscall;
    this.args = args;
    this.errno = errno;
    this.code = errnoName(errno);
  }
}

function describe(argument: Argument): string {
  if (typeof argument === 'string') return JSON.stringify(argument);
  if (typeof argument === 'number' || typeof argument === 'bigint') return String(argument);
  if (argument instanceof Uint8Array) return `<${argument.byteLength} bytes>`;
  return `<result ${argument.resultOf}>`;
}

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;

/**
 * Maps machine code into memory: written first, then made executable, never both.
 *
 * @returns its address, for the rest of the process's life
 */
function mapCode(code: Uint8Array): number {
  const { libcSyscall, memory } = port();
  const { length } = code;
  const flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const page = libcSyscall(NUMBERS.mmap, 0, length, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (page < 0) throw new Error('cannot map a page for the system call stubs');
  memory(page, length).set(code);
  if (libcSyscall(NUMBERS.mprotect, page, length, PROT_READ | PROT_EXEC, 0, 0, 0) < 0)
    throw new Error('cannot make the page of system call stubs executable');
  return page;
}

/** Addresses, but for the one that is called so often. */
interface Native {
  readonly call: SystemCall;
  readonly batch: number;
  readonly spawn: number;
}

let stubs: Native | undefined;
let calls: number | undefined;

/** The stubs are made when they are first used. */
function native(): Native {
  if (stubs === undefined) {
    const { code, call, batch, spawn } = assembleStubs();
    const page = mapCode(code);
    stubs = {
      call: port().systemCall(page + call),
      batch: page + batch,
      spawn: page + spawn,
    };
  }
  return stubs;
}

/**
 * Maps the stub that starts a thread of the kernel's.
 *
 * @returns its address; it takes the address of an argument with the layout `THREAD`
 */
export function mapThreadStub(): number {
  return mapCode(assembleThread());
}

/** Writes a 64-bit word, in two's complement when negative. */
export function writeWord(bytes: DataView, offset: number, value: number | bigint): void {
  if (typeof value === 'bigint') {
    bytes.setBigUint64(offset, BigInt.asUintN(64, value), true);
  } else {
    bytes.setUint32(offset, value >>> 0, true);
    bytes.setUint32(offset + 4, Math.floor(value / 2 ** 32) >>> 0, true);
  }
}

/** Reads a signed 64-bit word as a number (exact within ±2^53). */
export function readWord(bytes: DataView, offset: number): number {
  return bytes.getInt32(offset + 4, true) * 2 ** 32 + bytes.getUint32(offset, true);
}

/** Lays system calls out as the table that the stubs run. */
function tableOf(list: readonly Call[]): CallTable {
  const table = new CallTable(list.length);
  for (let i = 0; i < list.length; i++) {
    const { name, args, stopOnError } = list[i] as Call;
    table.addSystemCall(name, args, stopOnError === true);
  }
  return table;
}

/**
 * Makes many system calls through one call into native code.
 *
 * @returns the kernel's results in order, `-errno` for a failed one; shorter than
 *   `calls` when a call with `stopOnError` failed
 */
export function batch(calls: readonly Call[]): number[] {
  const table = tableOf(calls);
  runTable(table);
  return table.results();
}

/** Runs a table of system calls. */
function runTable(table: CallTable): void {
  port().invoke(native().batch, table.address);
}

/** Runs a table of system calls and of functions. */
export function runMixedTable(table: CallTable): void {
  calls ??= mapCode(assembleCalls());
  port().invoke(calls, table.address);
}

/**
 * Calls C functions, many through one call into native code.
 *
 * @returns what each left in the register of results, 64 bits: of an `int` the lower half counts
 */
export function callFunctions(list: readonly FunctionCall[]): number[] {
  const table = new CallTable(list.length);
  for (const { address, args } of list) table.addFunction(address, args);
  runMixedTable(table);
  return table.results();
}

/** What the arguments of the call under way point at. */
const pointedAt: Uint8Array[] = [];
/** Room for the texts among them, whose address is known. */
const TEXTS = 1 << 14;
let texts: { readonly bytes: Buffer; readonly address: number } | undefined;

/** Makes one system call and returns the kernel's own result, `-errno` on failure. */
export function trySyscall(name: SyscallName, ...args: readonly Argument[]): number {
  const words: [number, number, number, number, number, number] = [0, 0, 0, 0, 0, 0];
  let used = 0;
  for (let i = 0; i < args.length; i++) {
    const argument = args[i] as Argument;
    if (typeof argument === 'number') {
      words[i] = argument;
    } else if (typeof argument === 'bigint' || isResult(argument)) {
      return batch([{ name, args }])[0] as number;
    } else if (typeof argument === 'string' && used + 3 * argument.length < TEXTS) {
      texts ??= textRoom();
      words[i] = texts.address + used;
      used = writeText(texts.bytes, used, argument);
    } else {
      const pointed = typeof argument === 'string' ? cString(argument) : argument;
      pointedAt.push(pointed);
      words[i] = port().addressOf(pointed);
    }
  }
  const [a, b, c, d, e, f] = words;
  const result = native().call(NUMBERS[name], a, b, c, d, e, f);
  pointedAt.length = 0;
  return result;
}

function isResult(argument: Argument): argument is ResultOf {
  return typeof argument === 'object' && 'resultOf' in argument;
}

function textRoom(): { bytes: Buffer; address: number } {
  const bytes = Buffer.allocUnsafeSlow(TEXTS);
  return { bytes, address: port().addressOf(bytes) };
}

/**
 * Makes one system call.
 *
 * @returns the kernel's result
 * @throws SyscallError when it fails
 */
export function syscall(name: SyscallName, ...args: readonly Argument[]): number {
  const result = trySyscall(name, ...args);
  if (result < 0) throw new SyscallError(name, args, -result);
  return result;
}

/** Calls the machine code at an address. */
export type RunStub = (stub: number, argument: Uint8Array) => void;

/**
 * Runs clone3 with every signal blocked; the child runs `child` on the stack named in
 * `cloneArgs`, and exits with status 127 when its list ends.
 *
 * @param cloneArgs the kernel's `struct clone_args`, clone(2)
 * @param child calls for the child; with CLONE_VM their results are visible in `results`
 * @param run calls the function at an address with an argument, and is back when it has returned
 * @returns the child's PID or `-errno`, and the results of the child's calls
 */
export function spawn(
  cloneArgs: Uint8Array,
  child: readonly Call[],
  run: RunStub = (stub, argument) => port().invoke(stub, port().addressOf(argument)),
): { pid: number; results: number[] } {
  const table = tableOf(child);
  const buffer = new Uint8Array(SPAWN.size);
  const view = new DataView(buffer.buffer);
  writeWord(view, SPAWN.cloneArgs, port().addressOf(cloneArgs));
  writeWord(view, SPAWN.cloneArgsSize, cloneArgs.byteLength);
  writeWord(view, SPAWN.childTable, table.address);
  writeWord(view, SPAWN.fullMask, -1n);
  run(native().spawn, buffer);
  return { pid: readWord(view, SPAWN.result), results: table.results() };
}
