/** bpf(2) as far as filters of devices need it; layouts and values are linux/bpf.h's. */

import { errnoCode } from '../linux/errno.ts';
import { port } from '../linux/port.ts';
import { SyscallError, syscall, trySyscall } from '../linux/syscall.ts';

const BPF = {
  PROG_LOAD: 5,
  PROG_ATTACH: 8,
  PROG_DETACH: 9,
  PROG_GET_FD_BY_ID: 13,
  OBJ_GET_INFO_BY_FD: 15,
  PROG_QUERY: 16,
} as const;
type Command = keyof typeof BPF;

const PROG_TYPE_CGROUP_DEVICE = 15;
const CGROUP_DEVICE = 6;
const F_ALLOW_MULTI = 2;
const F_REPLACE = 4;

/**
 * `union bpf_attr` and what it points at are laid out in one buffer. The attribute part
 * is larger than any field used here needs: Linux 6.17 and later write the last field
 * of a query whatever size they are given.
 */
const ATTR_SIZE = 128;

/** `struct bpf_prog_info`, up to and with the name. */
const INFO = { size: 80, name: 64, nameSize: 16 } as const;

/** The kernel takes at most this many programs a cgroup and attach type. */
const MAX_PROGRAMS = 64;

/** Sizes to try for the verifier's log; it lists every instruction that it looked at. */
const LOG_SIZES = [64 * 1024, 16 * 1024 * 1024 - 1] as const;

/** A pending signal makes the verifier give up; this often is more than signals come. */
const LOAD_ATTEMPTS = 30;

/** One call: the attribute, and a place behind it for `extra` bytes at `address`. */
class Request {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #address: number;

  constructor(extra: number) {
    this.bytes = new Uint8Array(ATTR_SIZE + extra);
    this.view = new DataView(this.bytes.buffer);
    this.#address = port().addressOf(this.bytes);
  }

  word(offset: number, value: number): this {
    this.view.setUint32(offset, value, true);
    return this;
  }

  /** Makes the 64-bit field at `offset` point at byte number `place` of the extra part. */
  pointer(offset: number, place: number): this {
    this.view.setBigUint64(offset, BigInt(this.#address + ATTR_SIZE + place), true);
    return this;
  }

  get extra(): Uint8Array {
    return this.bytes.subarray(ATTR_SIZE);
  }

  /** @returns the kernel's result, `-errno` on failure */
  try(command: Command): number {
    return trySyscall('bpf', BPF[command], this.bytes, ATTR_SIZE);
  }

  /** @throws SyscallError when it fails, but for the `tolerated` errno */
  call(command: Command, tolerated?: string): number {
    const result = this.try(command);
    if (result >= 0 || (tolerated !== undefined && result === -errnoCode(tolerated))) return result;
    throw failure(command, result);
  }
}

/** The error names the command as bpf(2) does, which its number would not. */
function failure(command: Command, result: number): SyscallError {
  return new SyscallError('bpf', [`BPF_${command}`], -result);
}

/** Text up to its NUL byte. */
function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').split('\0', 1)[0] as string;
}

/**
 * Loads a program that filters access to devices (BPF_PROG_TYPE_CGROUP_DEVICE).
 *
 * @param program instructions of eBPF
 * @param name at most 15 letters, digits and underscores
 * @returns a close-on-exec descriptor
 * @throws SyscallError; Error with the verifier's words when it refused the program
 */
export function loadProgram(program: Uint8Array, name: string): number {
  let result = tryLoad(program, name, 0).result;
  for (let i = 1; result === -errnoCode('EAGAIN') && i < LOAD_ATTEMPTS; i++)
    result = tryLoad(program, name, 0).result;
  if (result >= 0) return result;
  const error = failure('PROG_LOAD', result);
  if (!['EINVAL', 'EACCES', 'E2BIG'].includes(error.code)) throw error;
  throw withVerifierLog(program, name, error);
}

/** The log costs time and memory, so it is asked for only after a failure. */
function withVerifierLog(program: Uint8Array, name: string, error: SyscallError): Error {
  for (const size of LOG_SIZES) {
    const { result, log } = tryLoad(program, name, size);
    if (result >= 0) syscall('close', result);
    if (result === -errnoCode('ENOSPC') || log.length === 0) continue;
    // The last line before the statistics says why.
    const reason = log.filter((line) => !/^(processed|verification time) /.test(line)).at(-1);
    return new Error(`the kernel's verifier refused the program: ${reason}`, { cause: error });
  }
  return error;
}

function tryLoad(program: Uint8Array, name: string, logSize: number) {
  const license = program.length;
  const log = license + 8;
  const request = new Request(log + logSize);
  request.extra.set(program);
  request.extra.set(Buffer.from('Apache\0'), license);
  request.bytes.set(Buffer.from(name), 48);
  request.word(0, PROG_TYPE_CGROUP_DEVICE).word(4, program.length / 8);
  request.pointer(8, 0).pointer(16, license);
  if (logSize > 0) request.word(24, 1).word(28, logSize).pointer(32, log);
  const result = request.try('PROG_LOAD');
  return { result, log: text(request.extra.subarray(log)).split('\n').filter(Boolean) };
}

/**
 * The device programs of a certain name that are attached to a cgroup itself (not to
 * its ancestors). Programs that scow may not look at are left out.
 *
 * @param directory a descriptor of the cgroup's directory
 * @returns descriptors, for the caller to close
 * @throws SyscallError
 */
export function attachedPrograms(directory: number, name: string): number[] {
  const query = new Request(4 * MAX_PROGRAMS);
  query.word(0, directory).word(4, CGROUP_DEVICE).pointer(16, 0).word(24, MAX_PROGRAMS);
  query.call('PROG_QUERY');
  const found: number[] = [];
  for (let i = 0; i < query.view.getUint32(24, true); i++) {
    const id = query.view.getUint32(ATTR_SIZE + 4 * i, true);
    const fd = new Request(0).word(0, id).try('PROG_GET_FD_BY_ID');
    if (fd < 0) continue;
    if (programName(fd) === name) found.push(fd);
    else syscall('close', fd);
  }
  return found;
}

function programName(fd: number): string {
  const request = new Request(INFO.size);
  request.word(0, fd).word(4, INFO.size).pointer(8, 0).call('OBJ_GET_INFO_BY_FD');
  return text(request.extra.subarray(INFO.name, INFO.name + INFO.nameSize));
}

/**
 * Attaches a device program to a cgroup, beside others (BPF_F_ALLOW_MULTI).
 *
 * @param directory a descriptor of the cgroup's directory
 * @param replaced the attached program whose place it takes, in one step
 * @returns false when `replaced` is not attached any more
 * @throws SyscallError
 */
export function attachProgram(directory: number, program: number, replaced?: number): boolean {
  const request = new Request(0).word(0, directory).word(4, program).word(8, CGROUP_DEVICE);
  request.word(12, replaced === undefined ? F_ALLOW_MULTI : F_ALLOW_MULTI | F_REPLACE);
  request.word(16, replaced ?? 0);
  return request.call('PROG_ATTACH', replaced === undefined ? undefined : 'ENOENT') >= 0;
}

/**
 * Detaches a device program from a cgroup; no error when it is not attached.
 *
 * @param directory a descriptor of the cgroup's directory
 * @throws SyscallError
 */
export function detachProgram(directory: number, program: number): void {
  const request = new Request(0).word(0, directory).word(4, program).word(8, CGROUP_DEVICE);
  request.call('PROG_DETACH', 'ENOENT');
}
