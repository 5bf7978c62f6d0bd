import { closeSync, readFileSync, readSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { compile } from '../../runtime/init/compile.ts';
import { Conversation, type InitMessage } from '../../runtime/init/conversation.ts';
import { launch } from '../../runtime/init/launch.ts';
import { PROGRESS } from '../../runtime/init/protocol.ts';
import { MFD } from '../../runtime/linux/constants.ts';
import { errnoName } from '../../runtime/linux/errno.ts';
import { socketPair } from '../../runtime/linux/socket.ts';
import { syscall, trySyscall } from '../../runtime/linux/syscall.ts';
import { call, inherited, type Step } from '../../runtime/plan/step.ts';
import { flatten } from '../../runtime/plan/walk.ts';

const SIGKILL = 9;

/** What steps of a test say that they are for. */
export const ORIGIN = { pointer: '/test', why: 'test' };

export interface ProgramOptions {
  /** Descriptors of this process that the program inherits, besides `control` and `progress`. */
  readonly descriptors?: Readonly<Record<string, number>>;
  /** Namespaces that the program is born in: flags of clone3. */
  readonly namespaces?: number;
  /** Descriptor of the cgroup that the program is born in. */
  readonly cgroup?: number;
  /** Number of the descriptor `control`; 3 if not given. */
  readonly firstDescriptor?: number;
  /** Descriptors of this process below that, which the program inherits. */
  readonly preserved?: readonly number[];
}

/** How a process ended, from the status that wait(2) gives. */
export interface Ending {
  /** Exit status, when it exited. */
  readonly status?: number;
  /** Signal, when it was killed. */
  readonly signal?: number;
}

/** What a program said and did, told in plain values. */
export interface Outcome extends Ending {
  /** `point` or `point=value` of each report, in order. */
  readonly said: readonly string[];
  /** `number ERRNO` of the step that failed. */
  readonly failed?: string;
  /** The step under way and the errno, as the progress page has them in the end. */
  readonly progress: { readonly step: number; readonly errno: number };
}

/** A list of steps that was compiled and runs as a child of this process. */
export class InitProgram {
  readonly pid: number;
  readonly pidfd: number;
  readonly #steps: readonly Step[];
  readonly #control: number;
  readonly #progress: number;
  readonly #conversation: Conversation;
  readonly #received: number[] = [];
  #ending: Ending | undefined;
  #hungUp = false;

  constructor(steps: readonly Step[], options: ProgramOptions = {}) {
    const { descriptors = {}, namespaces = 0, cgroup } = options;
    const { firstDescriptor = 3, preserved = [] } = options;
    const [own, theirs] = socketPair();
    this.#control = own;
    this.#progress = syscall('memfd_create', 'progress', MFD.CLOEXEC);
    syscall('ftruncate', this.#progress, PROGRESS.size);
    this.#steps = flatten(steps);
    this.#conversation = new Conversation(own, steps);
    const names = ['control', 'progress', ...Object.keys(descriptors)];
    const numbers = names.map((name, i) => [name, firstDescriptor + i] as const);
    try {
      const born = launch({
        program: () => compile(steps, new Map(numbers)),
        descriptors: [theirs, this.#progress, ...Object.values(descriptors)],
        firstDescriptor,
        preserved,
        namespaces,
        cgroup,
      });
      this.pid = born.pid;
      this.pidfd = born.pidfd;
    } catch (error) {
      closeSync(own);
      closeSync(this.#progress);
      throw error;
    } finally {
      closeSync(theirs);
    }
  }

  /** Waits for the next message. Descriptors in it are closed with the program. */
  next(): InitMessage {
    const message = this.#conversation.next();
    if (message.kind === 'report') this.#received.push(...message.descriptors);
    return message;
  }

  /** Waits for the next message, which is that a point was reached. @returns its value */
  reached(point: string): number {
    const message = this.next();
    const said = describe(message, this.#steps);
    if (message.kind !== 'report' || message.step.kind !== 'report' || message.step.point !== point)
      throw new Error(`expected the point ${point}, not ${said}`);
    return message.value;
  }

  answer(bytes?: Uint8Array): void {
    this.#conversation.answer(bytes);
  }

  /** Closes this side of the conversation. */
  hangUp(): void {
    if (!this.#hungUp) closeSync(this.#control);
    this.#hungUp = true;
  }

  signal(number: number): void {
    syscall('pidfd_send_signal', this.pidfd, number, 0, 0);
  }

  progress(): Outcome['progress'] {
    const page = new DataView(new ArrayBuffer(8));
    readSync(this.#progress, page, 0, 8, 0);
    return {
      step: page.getUint32(PROGRESS.step, true),
      errno: page.getUint32(PROGRESS.errno, true),
    };
  }

  /** A file of the process in procfs, as text. */
  proc(name: string): string {
    return readFileSync(`/proc/${this.pid}/${name}`, 'latin1');
  }

  /** Waits until the process has ended. */
  wait(): Ending {
    this.#ending ??= waitFor(this.pid);
    return this.#ending;
  }

  /** Answers all that the program waits for, until it ends. */
  finish(): Outcome {
    const said: string[] = [];
    let failed: string | undefined;
    for (let message = this.next(); message.kind !== 'end'; message = this.next()) {
      if (message.kind === 'failure') failed = describe(message, this.#steps);
      else said.push(describe(message, this.#steps));
      const { kind, step } = message;
      if (kind === 'report' && step.kind === 'report' && step.answer !== undefined) this.answer();
    }
    const ending = this.wait();
    return {
      said,
      ...(failed === undefined ? {} : { failed }),
      progress: this.progress(),
      ...ending,
    };
  }

  /** Ends the process, however far it is, and lets everything of it go. */
  close(): void {
    this.hangUp();
    trySyscall('pidfd_send_signal', this.pidfd, SIGKILL, 0, 0);
    this.wait();
    for (const fd of [this.pidfd, this.#progress, ...this.#received.splice(0)]) closeSync(fd);
  }
}

function describe(message: InitMessage, steps: readonly Step[]): string {
  if (message.kind === 'end') return 'the end';
  const { step } = message;
  if (message.kind === 'failure') {
    // Those of a loop are made when they are asked for.
    const isIt = steps.includes(step)
      ? (one: Step) => one === step
      : (one: Step) => isDeepStrictEqual(one, step);
    return `${steps.findIndex(isIt) + 1} ${errnoName(message.errno)}`;
  }
  const point = step.kind === 'report' ? step.point : step.kind;
  return message.value === 0 ? point : `${point}=${message.value}`;
}

/** Waits for a child of this process. */
export function waitFor(pid: number): Ending {
  const status = new DataView(new ArrayBuffer(4));
  syscall('wait4', pid, new Uint8Array(status.buffer), 0, 0);
  const word = status.getInt32(0, true);
  const signal = word & 0x7f;
  return signal === 0 ? { status: (word >> 8) & 0xff } : { signal };
}

/** Compiles steps, runs them to their end and tells what came of it. */
export function runSteps(steps: readonly Step[], options: ProgramOptions = {}): Outcome {
  const program = new InitProgram(steps, options);
  try {
    return program.finish();
  } finally {
    program.close();
  }
}

/** A step that tells a number or the result of an earlier step. */
export function say(
  point: string,
  value?: Exclude<Step & { kind: 'report' }, never>['value'],
): Step {
  return { kind: 'report', point, ...(value === undefined ? {} : { value }), ...ORIGIN };
}

/** The last step of a program that ends well. */
export const EXIT: Step = call('exit_group', [0], ORIGIN);

/** A step that writes text to an inherited descriptor. */
export function write(descriptor: string, text: string): Step {
  return call('write', [inherited(descriptor), text, Buffer.byteLength(text)], ORIGIN);
}
