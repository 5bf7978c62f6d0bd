import { CLONE, PR, SIG } from './constants.ts';
import { port } from './port.ts';
import { type Call, SyscallError, spawn, syscall, trySyscall, writeWord } from './syscall.ts';

/**
 * Memory of a child: `struct clone_args` of clone(2), a place for its pidfd, and a stack. It is one
 * block, kept until the child is gone from it.
 */
const MEMORY = { cloneArgsSize: 88, pidfd: 88, stack: 96, stackSize: 16 * 1024 } as const;

/** Makes system calls in order, as `batch` does, wherever that may be. */
export type Run = (calls: readonly Call[]) => number[];

/**
 * Makes system calls as the root of a user namespace. A child that shares this process's memory
 * and descriptors makes them: what it opens is open here, what it reads is in the buffers.
 *
 * @param namespace descriptor of a user namespace in which this process may be root
 * @returns the results in order, as `batch` has them
 * @throws SyscallError when the namespace cannot be entered
 */
export function batchInUserNamespace(namespace: number, calls: readonly Call[]): number[] {
  const enter: Call[] = [
    { name: 'setns', args: [namespace, CLONE.NEWUSER], stopOnError: true },
    { name: 'setresgid', args: [0, 0, 0], stopOnError: true },
    { name: 'setresuid', args: [0, 0, 0], stopOnError: true },
  ];
  const all = [...enter, ...calls];
  const flags = CLONE.VM + CLONE.VFORK + CLONE.FILES + CLONE.CLEAR_SIGHAND;
  const memory = new DataView(new ArrayBuffer(MEMORY.stack + MEMORY.stackSize));
  const { pid, results } = spawn(cloneArguments(memory, flags, true), all);
  if (pid < 0) throw new SyscallError('clone3', [flags], -pid);
  syscall('wait4', pid, 0, 0, 0);
  // The child's change of IDs made the memory that it shares undumpable: prctl(2).
  trySyscall('prctl', PR.SET_DUMPABLE, 1, 0, 0, 0);
  const last = results.length - 1;
  const failed = all[last];
  if (last < enter.length && failed !== undefined)
    throw new SyscallError(failed.name, failed.args, -(results[last] as number));
  return results.slice(enter.length);
}

/**
 * Makes a child that makes system calls, the last of which may execute a program. It shares this
 * process's memory, which waits until then. Signals are blocked in it.
 *
 * @param namespaces CLONE_NEW* flags of the namespaces that it gets
 * @returns its PID, and the results of the calls that it made: of an execve(2) that succeeded none.
 *   Who calls waits for it
 * @throws SyscallError when there can be no such child
 */
export function spawnCalls(
  namespaces: number,
  calls: readonly Call[],
): { pid: number; results: number[] } {
  const flags = CLONE.VM + CLONE.VFORK + CLONE.CLEAR_SIGHAND + namespaces;
  const memory = new DataView(new ArrayBuffer(MEMORY.stack + MEMORY.stackSize));
  const { pid, results } = spawn(cloneArguments(memory, flags, true), calls);
  if (pid < 0) throw new SyscallError('clone3', [flags], -pid);
  return { pid, results };
}

/**
 * Makes a process in a new user namespace that does nothing until it is killed, and dies with
 * this one.
 *
 * @returns its PID, and what kills it
 */
export function sleepInNewUserNamespace(): { pid: number; end: () => void } {
  const memory = new DataView(new ArrayBuffer(MEMORY.stack));
  // Not in shared memory: this process goes on meanwhile.
  const { pid } = spawn(cloneArguments(memory, CLONE.NEWUSER + CLONE.CLEAR_SIGHAND, false), [
    { name: 'prctl', args: [PR.SET_PDEATHSIG, SIG.KILL, 0, 0, 0], stopOnError: true },
    { name: 'ppoll', args: [0, 0, 0, 0, 0] },
  ]);
  if (pid < 0) throw new SyscallError('clone3', [CLONE.NEWUSER], -pid);
  return {
    pid,
    end: () => {
      trySyscall('kill', pid, SIG.KILL);
      trySyscall('wait4', pid, 0, 0, 0);
    },
  };
}

function cloneArguments(memory: DataView, flags: number, ownStack: boolean): Uint8Array {
  const block = new Uint8Array(memory.buffer);
  writeWord(memory, 0, flags);
  writeWord(memory, 32, SIG.CHLD);
  if (ownStack) {
    writeWord(memory, 40, port().addressOf(block) + MEMORY.stack);
    writeWord(memory, 48, MEMORY.stackSize);
  }
  return block.subarray(0, MEMORY.cloneArgsSize);
}
