import { Assembler, at, CC, type Label, R } from './assembler.ts';

/** The stubs that every container needs, and where each starts in their code. */
export interface Stubs {
  readonly code: Uint8Array;
  readonly call: number;
  readonly batch: number;
  readonly spawn: number;
}

/** Layout of a table of calls (see ../call-table.ts): a header, then records of 8-byte words. */
export const TABLE = { count: 0, done: 8, records: 16 } as const;
/** `target` is a system call's number, or a function's address. */
export const RECORD = { target: 0, args: 8, result: 56, flags: 64, size: 72 } as const;
/** Flag bits 0 to 5: argument i is the address of a word that holds its value. */
export const STOP_ON_ERROR = 0x100;
/** The target is a function, with integer arguments. */
export const IS_FUNCTION = 0x200;

/** Layout of spawn's argument. The masks are the kernel's 64-bit signal sets. */
export const SPAWN = {
  cloneArgs: 0,
  cloneArgsSize: 8,
  childTable: 16,
  result: 24,
  savedMask: 32,
  fullMask: 40,
  size: 48,
} as const;

/**
 * Layout of a thread's argument. The state is a futex: who finds it `idle` may write a table's
 * address, then `work`; the thread sets it back to `idle` when the table was run.
 */
export const THREAD = {
  cloneArgs: 0,
  cloneArgsSize: 8,
  result: 16,
  savedMask: 24,
  fullMask: 32,
  state: 40,
  table: 48,
  size: 56,
} as const;
export const THREAD_STATE = { idle: 0, work: 1, end: 2 } as const;

const SYS_rt_sigprocmask = 14;
const SYS_exit = 60;
const SYS_futex = 202;
const FUTEX_WAIT_PRIVATE = 128;
const FUTEX_WAKE_PRIVATE = 129;
const SYS_exit_group = 231;
const SYS_clone3 = 435;
const SIG_SETMASK = 2;

/** Where a system call has its arguments; a function has the fourth in rcx. */
const ARGUMENTS = [R.rdi, R.rsi, R.rdx, R.r10, R.r8, R.r9] as const;

/** Emits the call of a record whose target is in rax and whose flags are in r15. */
type MakeCall = (asm: Assembler) => void;

const systemCall: MakeCall = (asm) => asm.syscall();

const eitherCall: MakeCall = (asm) => {
  const isSystemCall = asm.newLabel();
  const made = asm.newLabel();
  asm.test32(R.r15, IS_FUNCTION);
  asm.jumpIf(CC.equal, isSystemCall);
  asm.move(R.rcx, R.r10);
  // System V ABI for x86-64, 3.2.2: the stack is aligned to 16 bytes at the call.
  asm.push(R.rax);
  asm.callRegister(R.rax);
  asm.pop(R.rcx);
  asm.jump(made);
  asm.bind(isSystemCall);
  asm.syscall();
  asm.bind(made);
};

const SAVED = [R.rbx, R.r12, R.r13, R.r14, R.r15] as const;

const MOST_BYTES = 4096;

/**
 * Assembles `call(nr, a, b, c, d, e, f)`, which makes one system call and returns the kernel's own
 * result, `batch(table)`, which runs a table of system calls, and `spawn(args)`, which blocks
 * every signal, calls clone3, lets the child run a table of its own on its own stack (whose last
 * record is an exec), and restores the caller's mask.
 */
export function assembleStubs(): Stubs {
  const asm = new Assembler(MOST_BYTES);
  const run = asm.newLabel();
  const call = asm.size;
  assembleCall(asm);
  const batch = asm.size;
  assembleEntry(asm, run);
  const spawn = asm.size;
  assembleSpawn(asm, run);
  asm.bind(run);
  assembleRun(asm, systemCall);
  return { code: asm.finish(), call, batch, spawn };
}

/** Assembles `calls(table)`, which runs a table of system calls and calls of C functions. */
export function assembleCalls(): Uint8Array {
  const asm = new Assembler(MOST_BYTES);
  const run = asm.newLabel();
  assembleEntry(asm, run);
  asm.bind(run);
  assembleRun(asm, eitherCall);
  return asm.finish();
}

/** Assembles `thread(args)`: as `spawn`, for a child that is a thread and runs tables as `calls` does. */
export function assembleThread(): Uint8Array {
  const asm = new Assembler(MOST_BYTES);
  const run = asm.newLabel();
  assembleThreadLoop(asm, run);
  asm.bind(run);
  assembleRun(asm, eitherCall);
  return asm.finish();
}

/** From where a C function finds its arguments to where the kernel wants those of a call. */
function assembleCall(asm: Assembler): void {
  asm.move(R.rax, R.rdi);
  asm.move(R.rdi, R.rsi);
  asm.move(R.rsi, R.rdx);
  asm.move(R.rdx, R.rcx);
  asm.move(R.r10, R.r8);
  asm.move(R.r8, R.r9);
  asm.load(R.r9, at(R.rsp, 8));
  asm.syscall();
  asm.return();
}

/** Runs the table that the caller gives. */
function assembleEntry(asm: Assembler, run: Label): void {
  for (const register of SAVED) asm.push(register);
  asm.move(R.rbx, R.rdi);
  asm.call(run);
  for (const register of SAVED.toReversed()) asm.pop(register);
  asm.return();
}

function assembleSpawn(asm: Assembler, run: Label): void {
  const child = asm.newLabel();
  assembleClone(asm, child, SPAWN);
  asm.bind(child);
  asm.load(R.rbx, at(R.rbx, SPAWN.childTable));
  asm.call(run);
  asm.moveConstant(R.rdi, 127);
  asm.moveConstant(R.rax, SYS_exit_group);
  asm.syscall();
}

/** What spawn's argument and a thread's have in common. */
type CloneLayout = Pick<
  typeof SPAWN | typeof THREAD,
  'cloneArgs' | 'cloneArgsSize' | 'result' | 'savedMask' | 'fullMask'
>;

/** A whole function for the caller; the child goes on at a label, its signals blocked. */
function assembleClone(asm: Assembler, child: Label, layout: CloneLayout): void {
  const setMask = (mask: number, old?: number) => {
    asm.moveConstant(R.rdi, SIG_SETMASK);
    asm.address(R.rsi, at(R.rbx, mask));
    if (old === undefined) asm.moveConstant(R.rdx, 0);
    else asm.address(R.rdx, at(R.rbx, old));
    asm.moveConstant(R.r10, 8);
    asm.moveConstant(R.rax, SYS_rt_sigprocmask);
    asm.syscall();
  };
  for (const register of SAVED) asm.push(register);
  asm.move(R.rbx, R.rdi);
  setMask(layout.fullMask, layout.savedMask);
  asm.load(R.rdi, at(R.rbx, layout.cloneArgs));
  asm.load(R.rsi, at(R.rbx, layout.cloneArgsSize));
  asm.moveConstant(R.rax, SYS_clone3);
  asm.syscall();
  asm.compare(R.rax, 0);
  asm.jumpIf(CC.equal, child);
  asm.store(at(R.rbx, layout.result), R.rax);
  setMask(layout.savedMask);
  for (const register of SAVED.toReversed()) asm.pop(register);
  asm.return();
}

function assembleThreadLoop(asm: Assembler, run: Label): void {
  const thread = asm.newLabel();
  const wait = asm.newLabel();
  const ready = asm.newLabel();
  const end = asm.newLabel();
  const futex = (operation: number, value: number) => {
    asm.address(R.rdi, at(R.rbp, THREAD.state));
    asm.moveConstant(R.rsi, operation);
    asm.moveConstant(R.rdx, value);
    asm.moveConstant(R.r10, 0);
    asm.moveConstant(R.rax, SYS_futex);
    asm.syscall();
  };
  assembleClone(asm, thread, THREAD);
  asm.bind(thread);
  asm.move(R.rbp, R.rbx);
  asm.bind(wait);
  asm.load32(R.rax, at(R.rbp, THREAD.state));
  asm.compare32(R.rax, THREAD_STATE.idle);
  asm.jumpIf(CC.notEqual, ready);
  futex(FUTEX_WAIT_PRIVATE, THREAD_STATE.idle);
  asm.jump(wait);
  asm.bind(ready);
  asm.compare32(R.rax, THREAD_STATE.end);
  asm.jumpIf(CC.equal, end);
  asm.load(R.rbx, at(R.rbp, THREAD.table));
  asm.call(run);
  asm.storeConstant32(at(R.rbp, THREAD.state), THREAD_STATE.idle);
  futex(FUTEX_WAKE_PRIVATE, 1);
  asm.jump(wait);
  asm.bind(end);
  asm.moveConstant(R.rdi, 0);
  asm.moveConstant(R.rax, SYS_exit);
  asm.syscall();
}

/** The loop over a table whose address is in rbx. */
function assembleRun(asm: Assembler, make: MakeCall): void {
  const loop = asm.newLabel();
  const done = asm.newLabel();
  asm.load(R.r12, at(R.rbx, TABLE.count));
  asm.moveConstant(R.r13, 0);
  asm.address(R.r14, at(R.rbx, TABLE.records));
  asm.bind(loop);
  asm.compareRegisters(R.r13, R.r12);
  asm.jumpIf(CC.aboveOrEqual, done);
  asm.load(R.r15, at(R.r14, RECORD.flags));
  for (const [i, register] of ARGUMENTS.entries()) {
    const value = asm.newLabel();
    asm.load(register, at(R.r14, RECORD.args + 8 * i));
    asm.test32(R.r15, 1 << i);
    asm.jumpIf(CC.equal, value);
    asm.load(register, at(register));
    asm.bind(value);
  }
  asm.load(R.rax, at(R.r14, RECORD.target));
  make(asm);
  asm.store(at(R.r14, RECORD.result), R.rax);
  asm.add(R.r13, 1);
  asm.store(at(R.rbx, TABLE.done), R.r13);
  asm.add(R.r14, RECORD.size);
  asm.test32(R.r15, STOP_ON_ERROR);
  asm.jumpIf(CC.equal, loop);
  asm.compare(R.rax, -4095);
  asm.jumpIf(CC.below, loop);
  asm.bind(done);
  asm.return();
}
