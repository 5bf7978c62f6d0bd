import { CLONE, MSG, SIG } from '../linux/constants.ts';
import { errnoCode } from '../linux/errno.ts';
import { NUMBERS, type SyscallName } from '../linux/numbers.ts';
import type {
  CallStep,
  CheckStep,
  EachStep,
  FirstStep,
  ReportStep,
  SpawnStep,
  Step,
  Value,
} from '../plan/step.ts';
import { place, result, struct } from '../plan/step.ts';
import { count } from '../plan/walk.ts';
import { MESSAGE_PLACE, messageHeader } from './conversation.ts';
import { writeElf } from './elf.ts';
import { type Fixup, Layout } from './layout.ts';
import type { Label, Machine } from './machine.ts';
import { MESSAGE, PROGRESS } from './protocol.ts';
import { X86Machine } from './x86-64.ts';

/** Where init maps the progress page. */
const PROGRESS_ADDRESS = 0x200000;
const PROT_READ_WRITE = 3;
const MAP_SHARED_FIXED = 0x11;
/** A call with all its arguments, a dozen errno values to be told apart, and what ends the lists around it. */
const MOST_BYTES_PER_STEP = 2048;
/** Exit statuses of init itself, seen only by who waits for it. */
const EXIT_FAILED = 1;
const EXIT_ABANDONED = 0;

const ANSWER_PLACE = place('answer', 8);

/** With CLONE_PARENT the exit signal is this process's own. */
const FORK_ARGUMENTS = cloneArguments(CLONE.PARENT + CLONE.PARENT_SETTID, {
  parent_tid: PROGRESS_ADDRESS + PROGRESS.pid,
});
const CLONE_ARGUMENTS_SIZE = 64;
/** Of the loop under way: the address of the value whose turn it is, and how many numbers went before. */
const LOOP = { value: 'address of the value', before: 'numbers before' } as const;
/** What a loop can be made of. Others tell scow their numbers, which are constants there. */
const IN_LOOPS: readonly Step['kind'][] = ['call', 'check', 'first', 'set'];
/** The child that was spawned last. */
const CHILD = { pid: 'child', pidfd: 'pidfd of the child', status: 'status of the child' } as const;

/**
 * Lowers steps to a static executable, init. It takes no arguments; it must be born with the
 * descriptors `control` (its end of the socket pair) and `progress` (the file of the page in
 * which it keeps the number of the step under way).
 *
 * @param steps the plan; for the numbers of its steps see walk.ts
 * @param descriptors the number of each descriptor that init is born with
 * @returns an ELF file
 * @throws Error when a step names a result, descriptor or errno that does not exist
 */
export function compile(
  steps: readonly Step[],
  descriptors: ReadonlyMap<string, number>,
): Uint8Array {
  return new Compiler(new X86Machine(), new Layout(descriptors)).program(steps);
}

class Compiler {
  private readonly machine: Machine;
  private readonly layout: Layout;
  private readonly failed: Label;
  private readonly known = new Set<string>();
  private number = 0;
  /** In a loop: the address of how many numbers its earlier turns had. */
  private before: number | undefined;

  constructor(machine: Machine, layout: Layout) {
    this.machine = machine;
    this.layout = layout;
    this.failed = machine.newLabel();
  }

  program(steps: readonly Step[]): Uint8Array {
    // Jumps back need no patching: what fails goes to the beginning.
    const begin = this.machine.newLabel();
    this.machine.jump(begin);
    this.machine.bind(this.failed);
    this.reportFailure();
    this.machine.bind(begin);
    this.mapProgress();
    this.list(steps, this.failed);
    this.exit(EXIT_FAILED);
    return writeElf({ text: this.machine.finish(), ...this.layout.finish() });
  }

  private mapProgress(): void {
    const page = this.layout.descriptor('progress');
    const mapped = this.machine.newLabel();
    this.raw('mmap', [PROGRESS_ADDRESS, PROGRESS.size, PROT_READ_WRITE, MAP_SHARED_FIXED, page, 0]);
    this.machine.jumpIfSuccess(mapped);
    this.exit(EXIT_FAILED);
    this.machine.bind(mapped);
  }

  /** @param failed where a step that fails goes on, with -errno in R */
  private list(steps: readonly Step[], failed: Label): void {
    for (const step of steps) this.step(step, failed);
  }

  private step(step: Step, failed: Label): void {
    this.number += 1;
    this.machine.makeRoom(MOST_BYTES_PER_STEP);
    this.storeNumber(step);
    if (step.kind === 'call') this.call(step, failed);
    else if (step.kind === 'report') this.report(step, failed);
    else if (step.kind === 'check') this.check(step, failed);
    else if (step.kind === 'first') this.first(step, failed);
    else if (step.kind === 'each') this.each(step, failed);
    else if (step.kind === 'set') this.set(step.result, step.value);
    else if (step.kind === 'tell') this.tell(step.value);
    else if (step.kind === 'spawn') this.spawn(step, failed);
    else this.fork(failed);
  }

  private storeNumber({ kind }: Step): void {
    const address = PROGRESS_ADDRESS + PROGRESS.step;
    if (this.before === undefined) this.machine.storeConstant(address, this.number);
    else if (!IN_LOOPS.includes(kind)) throw new Error(`the step «${kind}» can't be in a loop`);
    else this.machine.storeSum(address, this.before, this.number);
  }

  private call(step: CallStep, failed: Label): void {
    const { machine } = this;
    const { tolerate, retry } = step;
    if (tolerate === undefined && retry === undefined) {
      this.raw(step.name, step.args);
      machine.jumpIfError(failed);
      this.keep(step.result);
      return;
    }
    const again = machine.newLabel();
    const tolerated = machine.newLabel();
    const done = machine.newLabel();
    machine.bind(again);
    this.raw(step.name, step.args);
    machine.jumpIfSuccess(done);
    for (const errno of tolerate ?? []) machine.jumpIfErrno(errnoCode(errno), tolerated);
    for (const errno of retry ?? []) machine.jumpIfErrno(errnoCode(errno), again);
    machine.jump(failed);
    machine.bind(done);
    this.keep(step.result);
    machine.bind(tolerated);
  }

  /** Gives R a name that later steps know it by. */
  private keep(name: string | undefined): void {
    if (name === undefined) return;
    this.machine.storeResult(this.layout.resultAddress(name), 8);
    this.known.add(name);
  }

  private report(step: ReportStep, failed: Label): void {
    const { machine, layout } = this;
    this.intoResult(step.value ?? 0);
    machine.storeResult(layout.placeAddress(MESSAGE_PLACE) + MESSAGE.value, 8);
    this.sendReport(this.number, step.send ?? [], failed);
    if (step.answer !== undefined) this.awaitAnswer(step.answer.into ?? ANSWER_PLACE, failed);
  }

  /** @param number that of the step that reports */
  private sendReport(number: number, send: readonly Value[], failed: Label): void {
    const message = this.layout.placeAddress(MESSAGE_PLACE);
    this.machine.storeConstant(message + MESSAGE.kind, MESSAGE.report);
    this.machine.storeConstant(message + MESSAGE.step, number);
    const control = this.layout.descriptor('control');
    this.raw('sendmsg', [control, messageHeader(send), MSG.NOSIGNAL]);
    this.machine.jumpIfError(failed);
  }

  private awaitAnswer(
    into: { readonly place: string; readonly size: number },
    failed: Label,
  ): void {
    const { machine, layout } = this;
    const again = machine.newLabel();
    const received = machine.newLabel();
    const answered = machine.newLabel();
    machine.bind(again);
    this.raw('recvfrom', [layout.descriptor('control'), into, into.size, 0, 0, 0]);
    machine.jumpIfSuccess(received);
    machine.jumpIfErrno(errnoCode('EINTR'), again);
    machine.jump(failed);
    machine.bind(received);
    // End of file: scow is gone, and whatever it set up with it. Nothing waits for init.
    const gone = machine.newLabel();
    machine.jumpIfZero(gone);
    machine.jump(answered);
    machine.bind(gone);
    this.exit(EXIT_ABANDONED);
    machine.bind(answered);
  }

  private check(step: CheckStep, failed: Label): void {
    const { machine, layout } = this;
    const right = machine.newLabel();
    const address = layout.placeAddress(step.at) + step.offset;
    machine.jumpIfMemoryEquals(address, step.width, step.mask ?? -1, step.equals, right);
    machine.setResult(-errnoCode(step.errno));
    machine.jump(failed);
    machine.bind(right);
  }

  private first(step: FirstStep, failed: Label): void {
    const { machine } = this;
    const done = machine.newLabel();
    const last = step.of.length - 1;
    for (let i = 0; i < last; i++) {
      const refused = machine.newLabel();
      const next = machine.newLabel();
      this.list(step.of[i] as readonly Step[], refused);
      machine.jump(done);
      machine.bind(refused);
      for (const errno of step.on) machine.jumpIfErrno(errnoCode(errno), next);
      machine.jump(failed);
      machine.bind(next);
    }
    this.list(step.of[last] ?? [], failed);
    machine.bind(done);
  }

  private each({ as, values, of }: EachStep, failed: Label): void {
    if (values.length === 0) throw new Error('a loop without values');
    const { machine, layout } = this;
    const again = machine.newLabel();
    const [value, before] = [layout.resultAddress(LOOP.value), layout.resultAddress(LOOP.before)];
    const table = layout.table(values);
    const [start, length] = [this.number, count(of)];
    machine.storeConstant(before, 0);
    machine.setResult(table);
    machine.storeResult(value, 8);
    machine.bind(again);
    machine.loadFromPointer(value);
    this.keep(as);
    this.before = before;
    this.list(of, failed);
    this.before = undefined;
    machine.storeSum(before, before, length);
    machine.storeSum(value, value, 8);
    machine.jumpUnlessMemoryEquals(value, table + 8 * values.length, again);
    this.number = start + values.length * length;
  }

  private set(name: string, value: Value): void {
    this.intoResult(value);
    this.keep(name);
  }

  /** Whoever sees the number of this step sees its value. */
  private tell(value: Value): void {
    this.intoResult(value);
    this.machine.storeResult(PROGRESS_ADDRESS + PROGRESS.value, 8);
    this.machine.storeConstant(PROGRESS_ADDRESS + PROGRESS.told, this.number);
  }

  /**
   * clone3 with the same memory layout for the child: it goes on at the next instruction. The
   * kernel writes its PID into the progress page before the child runs, so that the child itself
   * can tell it: nothing that it reports later overtakes that, and this process may die meanwhile.
   */
  private fork(failed: Label): void {
    const { machine } = this;
    const child = machine.newLabel();
    this.clone(FORK_ARGUMENTS, child, failed);
    this.exit(EXIT_ABANDONED);
    machine.bind(child);
    machine.loadResult(PROGRESS_ADDRESS + PROGRESS.pid);
    machine.storeResult(this.layout.placeAddress(MESSAGE_PLACE) + MESSAGE.value, 8);
    this.sendReport(this.number, [], failed);
  }

  /**
   * A child of this process: the first of a PID namespace may have no siblings (clone(2)). Both
   * waits are for scow, whose end this process must notice; the child is dead when it is reaped.
   */
  private spawn(step: SpawnStep, failed: Label): void {
    const { machine, layout, number } = this;
    const [born, done] = [machine.newLabel(), machine.newLabel()];
    const value = layout.placeAddress(MESSAGE_PLACE) + MESSAGE.value;
    const pidfd = layout.resultAddress(CHILD.pidfd);
    this.clone(cloneArguments(CLONE.PIDFD, { pidfd, exit_signal: SIG.CHLD }), born, failed);
    machine.storeResult(layout.resultAddress(CHILD.pid), 8);
    for (const name of Object.values(CHILD)) this.known.add(name);
    this.sendReport(number, [result(CHILD.pidfd)], failed);
    this.raw('close', [result(CHILD.pidfd)]);
    this.awaitAnswer(ANSWER_PLACE, failed);
    this.raw('wait4', [result(CHILD.pid), layout.resultAddress(CHILD.status), 0, 0]);
    machine.jumpIfError(failed);
    machine.loadResult(layout.resultAddress(CHILD.status));
    machine.storeResult(value, 8);
    this.sendReport(number, [], failed);
    this.awaitAnswer(ANSWER_PLACE, failed);
    machine.jump(done);
    machine.bind(born);
    this.list(step.of, this.failed);
    this.exit(EXIT_FAILED);
    machine.bind(done);
  }

  /** Goes on behind the call in this process, and at the label in the new one. */
  private clone(args: Value, child: Label, failed: Label): void {
    this.raw('clone3', [args, CLONE_ARGUMENTS_SIZE]);
    this.machine.jumpIfError(failed);
    this.machine.jumpIfZero(child);
  }

  private reportFailure(): void {
    const { machine, layout } = this;
    const value = layout.placeAddress(MESSAGE_PLACE) + MESSAGE.value;
    machine.storeErrno(PROGRESS_ADDRESS + PROGRESS.errno);
    machine.storeErrno(value);
    machine.storeConstant(value + 4, 0);
    machine.storeConstant(layout.placeAddress(MESSAGE_PLACE) + MESSAGE.kind, MESSAGE.failure);
    machine.loadResult(PROGRESS_ADDRESS + PROGRESS.step);
    machine.storeResult(layout.placeAddress(MESSAGE_PLACE) + MESSAGE.step, 4);
    this.raw('sendmsg', [layout.descriptor('control'), messageHeader([]), MSG.NOSIGNAL]);
    this.exit(EXIT_FAILED);
    // The container's seccomp filter may make even that call fail.
    machine.trap();
  }

  private exit(status: number): void {
    this.raw('exit_group', [status]);
  }

  /** Fills in what structures hold of earlier results, and makes the call. */
  private raw(name: SyscallName, args: readonly Value[]): void {
    const values: (number | bigint)[] = [];
    const fixups: Fixup[] = [];
    let loads = 0;
    for (let i = 0; i < args.length; i++) {
      const value = args[i] as Value;
      if (typeof value === 'number') {
        values[i] = value;
      } else if (typeof value === 'object' && 'result' in value) {
        values[i] = this.knownResult(value.result);
        loads |= 1 << i;
      } else {
        values[i] = this.layout.constant(value, fixups);
      }
    }
    if (fixups.length > 0) this.fillIn(fixups);
    this.machine.systemCall(NUMBERS[name], values, loads);
  }

  /** R becomes the value. */
  private intoResult(value: Value): void {
    if (typeof value === 'object' && 'result' in value) {
      this.machine.loadResult(this.knownResult(value.result));
      return;
    }
    const fixups: Fixup[] = [];
    const constant = this.layout.constant(value, fixups);
    this.fillIn(fixups);
    this.machine.setResult(constant);
  }

  /** Uses R. */
  private fillIn(fixups: readonly Fixup[]): void {
    for (let i = 0; i < fixups.length; i++) {
      const { address, width, result } = fixups[i] as Fixup;
      this.machine.loadResult(this.knownResult(result));
      this.machine.storeResult(address, width);
    }
  }

  private knownResult(name: string): number {
    if (!this.known.has(name)) throw new Error(`no step before this one makes a result ${name}`);
    return this.layout.resultAddress(name);
  }
}

/** `struct clone_args`, clone(2). */
function cloneArguments(
  flags: number,
  given: { readonly pidfd?: number; readonly parent_tid?: number; readonly exit_signal?: number },
): Value {
  return struct(
    'clone_args',
    ['flags', 8, flags],
    ['pidfd', 8, given.pidfd ?? 0],
    ['child_tid', 8, 0],
    ['parent_tid', 8, given.parent_tid ?? 0],
    ['exit_signal', 8, given.exit_signal ?? 0],
    ['stack', 8, 0],
    ['stack_size', 8, 0],
    ['tls', 8, 0],
  );
}
