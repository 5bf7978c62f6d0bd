import { SCM_RIGHTS, SOL_SOCKET } from '../linux/constants.ts';
import { receiveMessage, sendMessage } from '../linux/socket.ts';
import { SyscallError, type SyscallName } from '../linux/syscall.ts';
import { place, type Step, struct, type Value } from '../plan/step.ts';
import { flatten, kindsOf, stepAt } from '../plan/walk.ts';
import { MESSAGE } from './protocol.ts';

const MOST_DESCRIPTORS = 8;

/** What init says. */
export type InitMessage =
  | {
      readonly kind: 'report';
      readonly step: Step;
      readonly value: number;
      readonly descriptors: readonly number[];
    }
  | { readonly kind: 'failure'; readonly step: Step; readonly errno: number }
  /** The connection ended without a word: init was killed, or is the program by now. */
  | { readonly kind: 'end' };

/** scow's side of the talk with init. */
export class Conversation {
  private readonly control: number;
  private readonly steps: readonly Step[];
  private readonly kinds: ReadonlySet<Step['kind']>;

  /**
   * @param control scow's end of the socket pair
   * @param steps the plan's steps, as they were compiled
   */
  constructor(control: number, steps: readonly Step[]) {
    this.control = control;
    this.steps = steps;
    this.kinds = kindsOf(steps);
  }

  /** Waits for init's next message. */
  next(): InitMessage {
    const message = receiveMessage(this.control, MESSAGE.size, MOST_DESCRIPTORS);
    if (message === undefined) return { kind: 'end' };
    const view = new DataView(
      message.bytes.buffer,
      message.bytes.byteOffset,
      message.bytes.byteLength,
    );
    const step = this.step(view.getUint32(MESSAGE.step, true));
    const value = Number(view.getBigInt64(MESSAGE.value, true));
    if (view.getUint32(MESSAGE.kind, true) === MESSAGE.failure)
      return { kind: 'failure', step, errno: value };
    return { kind: 'report', step, value, descriptors: message.descriptors };
  }

  /**
   * Lets init go on.
   *
   * @param bytes what the step that waits wants to know
   * @returns false when init is dead: the next message is the end then
   */
  answer(bytes: Uint8Array = Uint8Array.of(1)): boolean {
    try {
      sendMessage(this.control, bytes);
      return true;
    } catch (error) {
      if (error instanceof SyscallError && error.code === 'EPIPE') return false;
      throw error;
    }
  }

  /** Whether init has a step of this kind before it. */
  has(kind: Step['kind']): boolean {
    return this.kinds.has(kind);
  }

  /** The number of the last call of this name. */
  lastCall(name: SyscallName): number {
    const isIt = (step: Step) => step.kind === 'call' && step.name === name;
    return 1 + flatten(this.steps).findLastIndex(isIt);
  }

  /** The step with a number. */
  step(number: number): Step {
    const step = stepAt(this.steps, number);
    if (step === undefined) throw new Error(`init is at step ${number}, which does not exist`);
    return step;
  }
}

/** Where init keeps the message that it sends. */
export const MESSAGE_PLACE = place('message', MESSAGE.size);

/**
 * The msghdr of a message that init sends, with descriptors as unix(7) wants them.
 *
 * @param send the descriptors
 */
export function messageHeader(send: readonly Value[]): Value {
  const iovec = struct('iovec', ['iov_base', 8, MESSAGE_PLACE], ['iov_len', 8, MESSAGE.size]);
  const control =
    send.length === 0
      ? 0
      : struct(
          'cmsghdr',
          ['cmsg_len', 8, 16 + 4 * send.length],
          ['cmsg_level', 4, SOL_SOCKET],
          ['cmsg_type', 4, SCM_RIGHTS],
          ...send.map((value, i) => [`fd${i}`, 4, value] as const),
        );
  return struct(
    'msghdr',
    ['msg_name', 8, 0],
    ['msg_namelen', 8, 0],
    ['msg_iov', 8, iovec],
    ['msg_iovlen', 8, 1],
    ['msg_control', 8, control],
    ['msg_controllen', 8, send.length === 0 ? 0 : 16 + 8 * Math.ceil(send.length / 2)],
    ['msg_flags', 8, 0],
  );
}
