import { Aside } from '../linux/aside.ts';
import { CallTable } from '../linux/call-table.ts';
import { CLONE, CLOSE_RANGE_CLOEXEC, F, O, SIG } from '../linux/constants.ts';
import { port } from '../linux/port.ts';
import { pipe } from '../linux/socket.ts';
import {
  type Call,
  type RunStub,
  SyscallError,
  spawn,
  syscall,
  trySyscall,
  writeWord,
} from '../linux/syscall.ts';
import { emptyFile, programFile, seal } from './program-file.ts';

const STREAMS = [0, 1, 2];
const AT_EMPTY_PATH = 0x1000;
const ALL_DESCRIPTORS = 0xffffffff;

/**
 * Where things are in the block of memory that kernel and child use. It is one block, kept until
 * the child is gone from it: an engine would free the parts that nothing in JavaScript names.
 */
const MEMORY = {
  /** `struct clone_args`, clone(2). */
  cloneArgs: 0,
  cloneArgsSize: 88,
  pidfd: 88,
  argv: 96,
  environment: 112,
  name: 120,
  stack: 136,
  stackSize: 16 * 1024,
  size: 136 + 16 * 1024,
} as const;

/** How a process is born. */
export interface Launch {
  /** Makes the ELF file that becomes init. Called once, perhaps while the process is being born. */
  readonly program: () => Uint8Array;
  /** Descriptors of scow in the order of their numbers in init, from `firstDescriptor` on. */
  readonly descriptors: readonly number[];
  readonly firstDescriptor: number;
  /** Descriptors below `firstDescriptor` that init inherits, besides the standard streams. */
  readonly preserved: readonly number[];
  /** Namespaces that init is born in. */
  readonly namespaces: number;
  /** Descriptor of the cgroup that init is born in. */
  readonly cgroup?: number | undefined;
}

/**
 * Starts init: clone3(2) of a child that shares this process's memory until it executes the
 * program, out of a file that nobody can change. Nothing but the standard streams, the
 * preserved descriptors and those listed is open in it; every signal is blocked.
 *
 * A child that is killed before it executes the program is returned like any other: whoever
 * waits for its first message learns of it.
 *
 * @returns its PID in this process's namespace and a pidfd
 * @throws SyscallError of clone3, or of the child's call that failed
 * @throws Error when the system forbids a program without a path
 */
export function launch(options: Launch): { pid: number; pidfd: number } {
  const { firstDescriptor } = options;
  const last = firstDescriptor + options.descriptors.length;
  const sources: number[] = [];
  // Making namespaces takes the kernel a millisecond, in which the program can be made.
  const empty = options.namespaces === 0 ? undefined : emptyFile();
  try {
    const program = empty ?? programFile(options.program());
    sources.push(program);
    // Out of the way of the numbers that they will have.
    for (const fd of [...options.descriptors, program])
      sources.push(syscall('fcntl', fd, F.DUPFD_CLOEXEC, last + 1));
    return empty === undefined
      ? start(options, sources.slice(1))
      : startMeanwhile(options, sources.slice(1), () => seal(empty, options.program()));
  } finally {
    for (const fd of sources) syscall('close', fd);
  }
}

/**
 * Starts a child whose program is not there yet: it waits at a pipe, whose end it takes for the
 * end of scow. The thread that makes it lives as long as scow does, so that the end of that thread
 * is no other's (PR_SET_PDEATHSIG of prctl(2)).
 */
function startMeanwhile(
  options: Launch,
  sources: readonly number[],
  finish: () => void,
): { pid: number; pidfd: number } {
  const [waits, goes] = pipe();
  let failure: { readonly cause: unknown } | undefined;
  const work = () => {
    try {
      finish();
      syscall('write', goes, Uint8Array.of(1), 1);
    } catch (cause) {
      failure = { cause };
    } finally {
      syscall('close', goes);
    }
  };
  const run: RunStub = (stub, argument) => {
    const table = new CallTable(1);
    table.addFunction(stub, [argument]);
    const thread = new Aside();
    if (!thread.runs) work();
    thread.submit(table);
    if (thread.runs) work();
    thread.wait();
  };
  const gate: Call[] = [
    { name: 'close', args: [goes] },
    { name: 'read', args: [waits, new Uint8Array(1), 1], stopOnError: true },
  ];
  try {
    const born = start(options, sources, gate, run);
    if (failure === undefined) return born;
    // Its program may be whole, and nobody talks with it.
    endChild(born);
  } catch (cause) {
    failure ??= { cause };
  } finally {
    syscall('close', waits);
  }
  throw failure.cause;
}

/** Ends a child and waits until it is gone. Closes its pidfd. */
export function endChild({ pid, pidfd }: { pid: number; pidfd: number }): void {
  // Both fail when it ended by itself and was waited for.
  trySyscall('pidfd_send_signal', pidfd, SIG.KILL, 0, 0);
  trySyscall('wait4', pid, 0, 0, 0);
  syscall('close', pidfd);
}

/**
 * @param sources the child's descriptors, and its program as the last
 * @param gate calls of the child before all others
 */
function start(
  options: Launch,
  sources: readonly number[],
  gate: readonly Call[] = [],
  run?: RunStub,
): { pid: number; pidfd: number } {
  const memory = new DataView(new ArrayBuffer(MEMORY.size));
  const block = new Uint8Array(memory.buffer);
  const address = port().addressOf(block);
  writeCloneArguments(memory, address, options);
  const calls = [...gate, ...childCalls(memory, address, sources, options)];
  const { pid, results } = spawn(block.subarray(0, MEMORY.cloneArgsSize), calls, run);
  if (pid < 0) throw new SyscallError('clone3', [options.namespaces], -pid);
  const pidfd = memory.getInt32(MEMORY.pidfd, true);
  const failure = failureOf(calls, results);
  if (failure === undefined) return { pid, pidfd };
  endChild({ pid, pidfd });
  throw failure;
}

/** The child's list ended at the call that failed; the program itself says nothing here. */
function failureOf(calls: readonly Call[], results: readonly number[]): SyscallError | undefined {
  const last = calls[results.length - 1];
  const value = results.at(-1);
  if (last === undefined || value === undefined) return undefined;
  return last.stopOnError && value < 0 ? new SyscallError(last.name, last.args, -value) : undefined;
}

function childCalls(
  memory: DataView,
  address: number,
  sources: readonly number[],
  { firstDescriptor: first, preserved }: Launch,
): Call[] {
  const program = first + sources.length - 1;
  Buffer.from(memory.buffer).write('scow-init', MEMORY.name);
  writeWord(memory, MEMORY.argv, address + MEMORY.name);
  const [argv, environment] = [address + MEMORY.argv, address + MEMORY.environment];
  return [
    { name: 'close_range', args: [STREAMS.length, first - 1, CLOSE_RANGE_CLOEXEC] },
    // The engines mark what their caller handed down close-on-exec. What is not open stays so.
    ...[...STREAMS, ...preserved].map((fd): Call => ({ name: 'fcntl', args: [fd, F.SETFD, 0] })),
    ...sources.map(
      (source, i): Call => ({
        name: 'dup3',
        args: [source, first + i, first + i === program ? O.CLOEXEC : 0],
        stopOnError: true,
      }),
    ),
    { name: 'close_range', args: [program + 1, ALL_DESCRIPTORS, 0], stopOnError: true },
    {
      name: 'execveat',
      args: [program, '', argv, environment, AT_EMPTY_PATH],
      stopOnError: true,
    },
  ];
}

function writeCloneArguments(memory: DataView, address: number, options: Launch): void {
  const into = options.cgroup === undefined ? 0 : CLONE.INTO_CGROUP;
  const flags =
    options.namespaces + into + CLONE.VM + CLONE.VFORK + CLONE.PIDFD + CLONE.CLEAR_SIGHAND;
  const word = (offset: number, value: number) =>
    writeWord(memory, MEMORY.cloneArgs + offset, value);
  word(0, flags);
  word(8, address + MEMORY.pidfd);
  word(32, SIG.CHLD);
  word(40, address + MEMORY.stack);
  word(48, MEMORY.stackSize);
  word(80, options.cgroup ?? 0);
}
