import type { Gunzip } from 'node:zlib';
import { type Compressed, refuseContent, refuseRest } from './source.ts';

/** What zlib's engines have in common. */
type Engine = Gunzip & { readonly bytesWritten: number };

/** Bytes that are given out at once. */
const CHUNK = 256 * 1024;

/**
 * Unpacks with an engine of the platform's, which works in a thread of its own. Whatever comes
 * after the end of what was compressed must be zeros, as some writers pad their output.
 */
export async function* throughEngine(
  source: Compressed,
  create: (options: { chunkSize: number }) => Engine,
  format: string,
): AsyncGenerator<Uint8Array> {
  const engine = create({ chunkSize: CHUNK });
  // Errors are met where its output is read; one that comes later concerns nobody.
  engine.on('error', () => undefined);
  const feeder = new Feeder(source, engine);
  const fed = feeder.run();
  try {
    for await (const chunk of engine) yield chunk as Uint8Array;
  } catch (error) {
    if (feeder.failure !== undefined) throw feeder.failure;
    throw new Error(damage(error as NodeJS.ErrnoException, format), { cause: error });
  } finally {
    engine.destroy();
    await fed;
  }
  if (feeder.failure !== undefined) throw feeder.failure;
  for (const chunk of feeder.left()) refuseContent(chunk, format);
  await refuseRest(source, format);
}

function damage(error: NodeJS.ErrnoException, format: string): string {
  if (error.code === 'Z_BUF_ERROR') return `its ${format} data is truncated`;
  return `its ${format} data is damaged: ${error.message}`;
}

/** Writes a source into an engine, and remembers what the engine has not taken. */
class Feeder {
  readonly #source: Compressed;
  readonly #engine: Engine;
  #waiting: Uint8Array[] = [];
  /** Where what waits begins, counted in bytes of the source. */
  #start = 0;
  /** What the source threw. */
  failure: unknown;

  constructor(source: Compressed, engine: Engine) {
    this.#source = source;
    this.#engine = engine;
  }

  /** Ends when the source has ended, or the engine has. Never rejects. */
  async run(): Promise<void> {
    const engine = this.#engine;
    try {
      while (!isOver(engine)) {
        const next = await this.#source.next();
        if (isOver(engine)) {
          if (next.done !== true) this.#waiting.push(next.value);
          return;
        }
        if (next.done === true) {
          engine.end();
          return;
        }
        this.#waiting.push(next.value);
        this.#forget();
        if (!engine.write(next.value)) await room(engine);
      }
    } catch (error) {
      this.failure = error;
      engine.destroy(error as Error);
    }
  }

  /** What the engine was given and has not taken, since its data had ended before. */
  left(): Uint8Array[] {
    this.#forget();
    const [first, ...others] = this.#waiting;
    if (first === undefined) return [];
    return [first.subarray(Math.max(0, this.#engine.bytesWritten - this.#start)), ...others];
  }

  #forget(): void {
    let first = this.#waiting[0];
    while (first !== undefined && this.#start + first.byteLength <= this.#engine.bytesWritten) {
      this.#start += first.byteLength;
      this.#waiting.shift();
      first = this.#waiting[0];
    }
  }
}

function isOver(engine: Engine): boolean {
  return engine.readableEnded || engine.destroyed;
}

/** Waits until an engine takes more, or never will. */
function room(engine: Engine): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of EVENTS) engine.off(event, done);
      resolve();
    };
    for (const event of EVENTS) engine.on(event, done);
  });
}

const EVENTS = ['drain', 'end', 'close', 'error'] as const;
