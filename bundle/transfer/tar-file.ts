import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { reason } from '../../runtime/linux/reason.ts';
import { encodeEntry, paddingOf } from '../layers/write/header.ts';
import { syncDirectory, writeWholeBytes } from '../store/files.ts';

/** Two blocks of zeros end an archive: POSIX, pax. */
const END = Buffer.alloc(1024);

/**
 * A tar archive of files that is being written. It takes its place, and that of what was there,
 * when it is complete.
 */
export class TarFile {
  readonly #path: string;
  readonly #temporary: string;
  readonly #fd: number;
  #finished = false;

  /** @throws Error in one line when it cannot be made */
  constructor(path: string) {
    this.#path = path;
    const name = `.${basename(path)}.scow-${randomBytes(4).toString('hex')}`;
    this.#temporary = join(dirname(path), name);
    this.#fd = this.#attempt(() => {
      // What else is there, such as a device or a directory, is not replaced.
      if (existsSync(path) && !statSync(path).isFile()) throw new Error('it is no file');
      return openSync(this.#temporary, 'wx', 0o666);
    });
  }

  /** Adds a file. @throws Error in one line when it cannot be written; that of `content` */
  async add(name: string, size: number, content: AsyncIterable<Uint8Array>): Promise<void> {
    this.#write(headerOf(name, size));
    for await (const chunk of content) this.#write(chunk);
    this.#write(Buffer.alloc(paddingOf(size)));
  }

  /** Adds a file. */
  addText(name: string, text: string): void {
    const bytes = Buffer.from(text);
    this.#write(headerOf(name, bytes.byteLength));
    this.#write(bytes);
    this.#write(Buffer.alloc(paddingOf(bytes.byteLength)));
  }

  finish(): void {
    this.#write(END);
    this.#attempt(() => {
      fsyncSync(this.#fd);
      renameSync(this.#temporary, this.#path);
      syncDirectory(dirname(this.#path));
    });
    this.#finished = true;
  }

  /** Without `finish` nothing is left of it. */
  close(): void {
    closeSync(this.#fd);
    if (!this.#finished) rmSync(this.#temporary, { force: true });
  }

  #write(bytes: Uint8Array): void {
    this.#attempt(() => writeWholeBytes(this.#fd, bytes));
  }

  #attempt<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw new Error(`cannot write ${this.#path}: ${reason(error)}`, { cause: error });
    }
  }
}

/** Nothing of the moment and the user is in it: the same files make the same archive. */
function headerOf(name: string, size: number): Buffer {
  return encodeEntry({
    type: 'file',
    name: Buffer.from(name),
    linkName: Buffer.alloc(0),
    mode: 0o644,
    uid: 0,
    gid: 0,
    size,
    mtime: { seconds: 0, nanoseconds: 0 },
    major: 0,
    minor: 0,
    xattrs: [],
  });
}
