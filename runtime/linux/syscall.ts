import { errnoName, explainErrno } from './errno.ts';
import { NUMBERS, type SyscallName } from './numbers.ts';
import { port } from './port.ts';
import {
  assembleCalls,
  assembleStubs,
  assembleThread,
  RECORD,
  SPAWN,
  STOP_ON_ERROR,
  TABLE,
} from './x86-64/stubs.ts';

export type { SyscallName };

/**
 * An argument of a system call: an integer; a path or name (passed as a
 * NUL-terminated UTF-8 string); the address of a buffer; or the result of an earlier call.
 */
export type Argument = number | bigint | string | Uint8Array | ResultOf;

/** Stands for the result of a call that is made before, by its number. */
export interface ResultOf {
  readonly resultOf: number;
  /** The table of that call, which must stay in memory; absent for an earlier one of the same batch. */
  readonly table?: EncodedTable;
}

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

/** Encodes a path or name for the kernel. @throws Error for a string that contains NUL */
export function cString(text: string): Buffer {
  if (text.includes('\0')) throw new Error(`${JSON.stringify(text)} contains a NUL byte`);
  return Buffer.from(`${text}\0`);
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

let stubs: { readonly batch: number; readonly spawn: number } | undefined;
let calls: number | undefined;

/** The stubs are made when they are first used. */
function native(): { readonly batch: number; readonly spawn: number } {
  if (stubs === undefined) {
    const { code, batch, spawn } = assembleStubs();
    const page = mapCode(code);
    stubs = { batch: page + batch, spawn: page + spawn };
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

/** Of any system call. */
const ARGUMENTS = 6;

/** A batch table ready to be run, and the buffers that its words point at. */
export interface EncodedTable {
  readonly bytes: DataView;
  readonly address: number;
  readonly keep: Uint8Array[];
}

/** Lays a list of calls out as the table that the batch stub runs. */
export function encodeTable(calls: readonly (Call | FunctionCall)[]): EncodedTable {
  const table = emptyTable(calls.length);
  // Counted loops: a table may have thousands of calls, and iterators of pairs cost as much as they.
  for (let i = 0; i < calls.length; i++) encodeCall(table, i, calls[i] as Call | FunctionCall);
  return table;
}

function emptyTable(calls: number): EncodedTable {
  const buffer = new Uint8Array(TABLE.records + RECORD.size * calls);
  const bytes = new DataView(buffer.buffer);
  writeWord(bytes, TABLE.count, calls);
  return { bytes, address: port().addressOf(buffer), keep: [buffer] };
}

/** Writes a call into a record of zeros. */
function encodeCall(
  { bytes, address, keep }: EncodedTable,
  index: number,
  call: Call | FunctionCall,
): void {
  const record = TABLE.records + RECORD.size * index;
  let flags = 0;
  if ('name' in call) {
    if (call.stopOnError) flags = STOP_ON_ERROR;
    writeWord(bytes, record + RECORD.target, NUMBERS[call.name]);
  } else {
    writeWord(bytes, record + RECORD.target, call.address);
  }
  for (let j = 0; j < call.args.length; j++) {
    const argument = call.args[j] as Argument;
    let word: number | bigint;
    if (typeof argument === 'number' || typeof argument === 'bigint') {
      word = argument;
    } else if (typeof argument === 'object' && 'resultOf' in argument) {
      word = resultOffset(argument.resultOf) + (argument.table?.address ?? address);
      flags |= 1 << j;
    } else {
      const pointed = typeof argument === 'string' ? cString(argument) : argument;
      keep.push(pointed);
      word = port().addressOf(pointed);
    }
    writeWord(bytes, record + RECORD.args + 8 * j, word);
  }
  writeWord(bytes, record + RECORD.flags, flags);
}

const resultOffset = (call: number) => TABLE.records + RECORD.size * call + RECORD.result;

/** The result of one call of a table that was run. */
export function tableResult({ bytes }: EncodedTable, call: number): number {
  return readWord(bytes, resultOffset(call));
}

/** The results of a table that was run: one number per call that was made. */
export function tableResults(table: EncodedTable): number[] {
  const done = readWord(table.bytes, TABLE.done);
  const results: number[] = [];
  for (let i = 0; i < done; i++) results.push(tableResult(table, i));
  return results;
}

/**
 * Makes many system calls through one call into native code.
 *
 * @returns the kernel's results in order, `-errno` for a failed one; shorter than
 *   `calls` when a call with `stopOnError` failed
 */
export function batch(calls: readonly Call[]): number[] {
  const table = encodeTable(calls);
  runTable(table);
  return tableResults(table);
}

/** Runs a table of system calls. */
export function runTable(table: EncodedTable): void {
  port().invoke(native().batch, table.address);
}

/**
 * Calls C functions, many through one call into native code.
 *
 * @returns what each left in the register of results, 64 bits: of an `int` the lower half counts
 */
export function callFunctions(list: readonly FunctionCall[]): number[] {
  const table = encodeTable(list);
  calls ??= mapCode(assembleCalls());
  port().invoke(calls, table.address);
  return tableResults(table);
}

/** The table of a call that is made alone: memory that native code knows is dear. */
let single: EncodedTable | undefined;

/** Makes one system call and returns the kernel's own result, `-errno` on failure. */
export function trySyscall(name: SyscallName, ...args: readonly Argument[]): number {
  single ??= emptyTable(1);
  const { bytes, keep } = single;
  for (let i = args.length; i < ARGUMENTS; i++)
    writeWord(bytes, TABLE.records + RECORD.args + 8 * i, 0);
  encodeCall(single, 0, { name, args });
  runTable(single);
  keep.length = 1;
  return tableResult(single, 0);
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

/**
 * Runs clone3 with every signal blocked; the child runs `child` on the stack named in
 * `cloneArgs`, and exits with status 127 when its list ends.
 *
 * @param cloneArgs the kernel's `struct clone_args`, clone(2)
 * @param child calls for the child; with CLONE_VM their results are visible in `results`
 * @returns the child's PID or `-errno`, and the results of the child's calls
 */
export function spawn(
  cloneArgs: Uint8Array,
  child: readonly Call[],
): { pid: number; results: number[] } {
  const table = encodeTable(child);
  const buffer = new Uint8Array(SPAWN.size);
  const view = new DataView(buffer.buffer);
  writeWord(view, SPAWN.cloneArgs, port().addressOf(cloneArgs));
  writeWord(view, SPAWN.cloneArgsSize, cloneArgs.byteLength);
  writeWord(view, SPAWN.childTable, table.address);
  writeWord(view, SPAWN.fullMask, -1n);
  port().invoke(native().spawn, port().addressOf(buffer));
  return { pid: readWord(view, SPAWN.result), results: tableResults(table) };
}
