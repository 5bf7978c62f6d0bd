import { POLL } from '../../linux/constants.ts';
import { errnoCode } from '../../linux/errno.ts';
import type { PollRequest } from '../../linux/poll.ts';
import { trySyscall } from '../../linux/syscall.ts';

const EAGAIN = errnoCode('EAGAIN');
const EINTR = errnoCode('EINTR');

/** A terminal gives at most this much at a time; a pipe that is ready takes as much. */
const ROOM = 4096;

/** How often one turn of a flow that can't block reads or writes, at most. */
const BURST = 64;

/** What a turn came to: bytes moved, nothing to do yet, or an end of the flow. */
export type Progress = 'moved' | 'later' | 'source ended' | 'sink ended';

/**
 * Bytes on their way from one descriptor to another. Nothing is read before what was read
 * last is written, so a slow reader slows the writer down.
 */
export class Flow {
  readonly #source: number;
  readonly #sink: number;
  readonly #burst: number;
  readonly #bytes = new Uint8Array(new ArrayBuffer(ROOM));
  #start = 0;
  #end = 0;

  /** @param blocks whether a read or a write may block that poll has not announced */
  constructor(source: number, sink: number, blocks: boolean) {
    this.#source = source;
    this.#sink = sink;
    this.#burst = blocks ? 1 : BURST;
  }

  /** Whether bytes were read that are not yet written. */
  get pending(): boolean {
    return this.#start < this.#end;
  }

  /** What must happen before the next turn. */
  get waitsFor(): PollRequest {
    return this.pending
      ? { fd: this.#sink, events: POLL.OUT }
      : { fd: this.#source, events: POLL.IN };
  }

  /** Reads and writes, after poll has reported what the flow waits for. */
  turn(): Progress {
    let progress: Progress = 'later';
    for (let i = 0; i < this.#burst; i++) {
      progress = this.pending ? this.#write() : this.#read();
      if (progress !== 'moved') break;
    }
    return progress;
  }

  #read(): Progress {
    const count = trySyscall('read', this.#source, this.#bytes, ROOM);
    if (count === -EAGAIN || count === -EINTR) return 'later';
    if (count <= 0) return 'source ended';
    this.#start = 0;
    this.#end = count;
    return 'moved';
  }

  #write(): Progress {
    const bytes = this.#bytes.subarray(this.#start, this.#end);
    const count = trySyscall('write', this.#sink, bytes, bytes.byteLength);
    if (count === -EAGAIN || count === -EINTR) return 'later';
    if (count < 0) {
      this.#start = this.#end;
      return 'sink ended';
    }
    this.#start += count;
    return 'moved';
  }
}
