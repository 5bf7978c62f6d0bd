import type { OutputFile } from '../files/output-file.ts';
import { encodeEntry, paddingOf } from '../layers/write/header.ts';

/** Two blocks of zeros end an archive: POSIX, pax. */
const END = Buffer.alloc(1024);

/**
 * A tar archive of files that is being written. Nothing of the moment and the user is in it: the
 * same files make the same archive.
 */
export class TarFile {
  readonly #output: OutputFile;

  constructor(output: OutputFile) {
    this.#output = output;
  }

  /** Adds a file. @throws Error in one line when it cannot be written; that of `content` */
  async add(name: string, size: number, content: AsyncIterable<Uint8Array>): Promise<void> {
    this.#output.write(headerOf(name, size));
    for await (const chunk of content) this.#output.write(chunk);
    this.#output.write(Buffer.alloc(paddingOf(size)));
  }

  /** Adds a file. */
  addText(name: string, text: string): void {
    const bytes = Buffer.from(text);
    this.#output.write(headerOf(name, bytes.byteLength));
    this.#output.write(bytes);
    this.#output.write(Buffer.alloc(paddingOf(bytes.byteLength)));
  }

  /** Ends the archive. */
  finish(): void {
    this.#output.write(END);
    this.#output.finish();
  }
}

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
