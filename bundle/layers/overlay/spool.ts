import { closeSync, constants, mkdirSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { write } from '../../../runtime/linux/output.ts';
import { reason } from '../../../runtime/linux/reason.ts';
import { attributesOf, type LayerApplier, undescribed } from '../applier.ts';
import { latin1 } from '../names.ts';
import type { Privileges } from '../privileges.ts';
import { naming } from '../read-layer.ts';
import { Rootfs } from '../rootfs.ts';
import { EntryError } from '../script.ts';
import type { TarEntry, Xattr } from '../tar/entry.ts';
import type { TarVisitor } from '../tar/reader.ts';
import type { Spot } from '../target.ts';
import { Tree } from '../tree.ts';
import type { OverlayLayer } from './layer.ts';

/** Bytes of the journal that are written, or read, at once. */
const MUCH = 256 * 1024;

/** An entry in the journal; bytes are strings of one character a byte. */
interface Line extends Omit<TarEntry, 'name' | 'linkName' | 'xattrs'> {
  readonly name: string;
  readonly linkName: string;
  readonly xattrs: readonly (readonly [name: string, value: string])[];
  /** The name of the file that has its content. */
  readonly content: string | undefined;
}

/**
 * Takes a layer before the layers below it are known: what is costly (inflating, comparing the
 * digest, writing the content) is done in parallel with them. Files get a number for a name, and
 * all of their attributes; what the entries say is written into a journal, from which they are
 * applied later.
 */
export class LayerSpool implements TarVisitor {
  readonly #content: string;
  readonly #rootfs: Rootfs;
  readonly #tree: Tree;
  readonly #layer: string;
  readonly #journal: number;
  #lines: string[] = [];
  #length = 0;
  #files = 0;
  #writing = false;

  /**
   * @param path an empty directory on the layer's file system, which nobody else can enter
   * @param layer how errors call the layer
   */
  constructor(path: string, layer: string, privileges: Privileges, warn: (line: string) => void) {
    this.#content = join(path, 'content');
    this.#layer = layer;
    mkdirSync(this.#content, { mode: 0o700 });
    this.#journal = openSync(join(path, 'journal'), 'wx+', 0o600);
    this.#tree = new Tree(undescribed({ layer, name: Buffer.from('/') }));
    this.#rootfs = new Rootfs(this.#content, this.#tree, privileges, warn);
  }

  entry(entry: TarEntry): void {
    const origin = { layer: this.#layer, name: entry.name };
    this.#rootfs.begin(origin);
    this.#writing = entry.type === 'file';
    const content = this.#writing ? `${this.#files++}` : undefined;
    if (content !== undefined) {
      const spot = { directory: this.#tree.root, name: content };
      this.#rootfs.createFile(spot, attributesOf(entry, origin), entry.size);
    }
    this.#note(lineOf(entry, content));
  }

  content(bytes: Uint8Array, offset: number): void {
    if (this.#writing) this.#rootfs.write(bytes, offset);
  }

  holds(memory: ArrayBufferLike): boolean {
    return this.#rootfs.holds(memory);
  }

  end(): void {
    if (this.#writing) this.#rootfs.endFile();
    this.#writing = false;
  }

  /** Writes all that is still in memory. */
  flush(): void {
    this.#rootfs.flush();
    this.#writeLines();
  }

  /**
   * Applies what was taken.
   *
   * @param target what the applier works on
   * @throws Error in one line that names the layer and the entry
   */
  replay(applier: LayerApplier, target: Rootfs | OverlayLayer): void {
    const directory = openSync(this.#content, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      for (const line of this.#readLines()) {
        const entry = entryOf(line);
        const { content } = line;
        const adopt =
          content === undefined
            ? undefined
            : (spot: Spot) => target.adoptFile(spot, directory, content);
        naming(
          () => entry.name,
          () => applier.entry(entry, adopt),
        );
      }
      target.flush();
    } catch (error) {
      if (error instanceof EntryError) throw error;
      throw new Error(`${this.#layer}: ${reason(error)}`, { cause: error });
    } finally {
      closeSync(directory);
    }
  }

  /** Closes all descriptors. */
  close(): void {
    this.#rootfs.close();
    closeSync(this.#journal);
  }

  #note(line: Line): void {
    const text = `${JSON.stringify(line)}\n`;
    this.#lines.push(text);
    this.#length += text.length;
    if (this.#length > MUCH) this.#writeLines();
  }

  #writeLines(): void {
    const bytes = Buffer.from(this.#lines.join(''), 'latin1');
    this.#lines = [];
    this.#length = 0;
    write(this.#journal, bytes);
  }

  *#readLines(): Generator<Line> {
    const buffer = Buffer.alloc(MUCH);
    let text = '';
    for (let at = 0; ; ) {
      const filled = readSync(this.#journal, buffer, 0, MUCH, at);
      if (filled === 0) return;
      at += filled;
      const lines = `${text}${buffer.toString('latin1', 0, filled)}`.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as Line;
    }
  }
}

function lineOf(entry: TarEntry, content: string | undefined): Line {
  return {
    ...entry,
    name: latin1(entry.name),
    linkName: latin1(entry.linkName),
    xattrs: entry.xattrs.map(({ name, value }) => [latin1(name), latin1(value)] as const),
    content,
  };
}

function entryOf({ content: _, ...line }: Line): TarEntry {
  return {
    ...line,
    name: bytes(line.name),
    linkName: bytes(line.linkName),
    xattrs: line.xattrs.map(([name, value]): Xattr => ({ name: bytes(name), value: bytes(value) })),
  };
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
