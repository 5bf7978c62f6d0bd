import { createHash, type Hash } from 'node:crypto';
import { S } from '../../../runtime/linux/constants.ts';
import { LayerApplier, undescribed } from '../applier.ts';
import { latin1 } from '../names.ts';
import { mayBring, type Privileges } from '../privileges.ts';
import { type LayerSource, readLayer } from '../read-layer.ts';
import type { Xattr } from '../tar/entry.ts';
import type { Time } from '../tar/fields.ts';
import type { LayerTarget, Spot } from '../target.ts';
import { type Attributes, type Directory, Tree } from '../tree.ts';
import type { FileType, TreeFile } from './disk-file.ts';

/** What is kept of a layer that is read. */
export interface RecordOptions {
  /** What the one who unpacked could do: files are as they became then. */
  readonly privileges: Privileges;
  /** Whether the content of a file is hashed. @param serial see `RecordedFile` */
  hashes(serial: number): boolean;
  /** Hears how many bytes of blobs were read, of all layers together. */
  onProgress?(bytes: number): void;
}

/** A file that layers describe. */
export class RecordedFile implements TreeFile {
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  readonly xattrs: readonly Xattr[];
  readonly major: number;
  readonly minor: number;
  /** Counts the files in the order of the layers: the same whenever they are read. */
  readonly serial: number;
  size = 0;
  links = 1;
  readonly #target: string;
  /** undefined for what was not hashed. */
  content: string | undefined;

  constructor(type: FileType, attributes: Attributes, fields: RecordedFields) {
    this.type = type;
    this.mode = attributes.mode;
    this.uid = attributes.uid;
    this.gid = attributes.gid;
    this.mtime = attributes.mtime;
    this.xattrs = attributes.xattrs;
    this.serial = fields.serial ?? 0;
    this.major = fields.major ?? 0;
    this.minor = fields.minor ?? 0;
    this.#target = fields.target ?? '';
  }

  get identity(): unknown {
    return this;
  }

  target(): string {
    return this.#target;
  }

  digest(): string {
    if (this.content === undefined) throw new Error('the content of this file was not hashed');
    return this.content;
  }

  children(): ReadonlyMap<string, TreeFile> {
    return new Map();
  }
}

interface RecordedFields {
  readonly serial?: number;
  readonly major?: number;
  readonly minor?: number;
  readonly target?: string;
}

type Files = ReadonlyMap<Directory, ReadonlyMap<string, RecordedFile>>;

/** A directory that layers describe, or take for granted. */
class RecordedDirectory extends RecordedFile {
  readonly #directory: Directory;
  readonly #files: Files;

  constructor(directory: Directory, files: Files, privileges: Privileges) {
    super('directory', asUnpacked(directory.attributes, privileges), {});
    this.#directory = directory;
    this.#files = files;
    this.#privileges = privileges;
  }

  readonly #privileges: Privileges;

  override children(): ReadonlyMap<string, TreeFile> {
    const files = this.#files.get(this.#directory);
    return new Map(
      [...this.#directory.children].map(([name, node]): [string, TreeFile] => [
        name,
        node.kind === 'directory'
          ? new RecordedDirectory(node, this.#files, this.#privileges)
          : (files?.get(name) as RecordedFile),
      ]),
    );
  }
}

/**
 * Reads layers, the lowest first, and remembers what unpacking them makes, without unpacking.
 *
 * @returns the root of the tree
 * @throws Error as `applyLayers` does
 */
export async function recordLayers(
  layers: readonly LayerSource[],
  options: RecordOptions,
): Promise<TreeFile> {
  const tree = new Tree(undescribed({ layer: 'the image', name: Buffer.from('/') }));
  const recorder = new Recorder(options);
  let total = 0;
  const count = (bytes: number) => {
    total += bytes;
    options.onProgress?.(total);
  };
  for (const [i, layer] of layers.entries()) {
    const applier = new LayerApplier(tree, recorder, i + 1, layer.describe);
    // What is wrong but harmless was said when the layer was unpacked.
    await readLayer(layer, applier, count, () => undefined);
  }
  return new RecordedDirectory(tree.root, recorder.files, options.privileges);
}

/** A file whose content is being read. */
class OpenRecord {
  readonly spot: Spot;
  readonly attributes: Attributes;
  readonly hash: Hash | undefined;
  readonly serial: number;
  /** Where the last content ended. */
  size = 0;

  constructor(spot: Spot, attributes: Attributes, serial: number, hashes: boolean) {
    this.spot = spot;
    this.attributes = attributes;
    this.serial = serial;
    this.hash = hashes ? createHash('sha256') : undefined;
  }

  /** Goes on to an offset; what was passed over is a hole. */
  reach(size: number): void {
    const zeros = Buffer.alloc(Math.min(size - this.size, HOLE));
    for (; this.hash !== undefined && this.size < size; this.size += zeros.length)
      this.hash.update(zeros.subarray(0, size - this.size));
    this.size = size;
  }
}

/** Zeros that are hashed at once, bytes. */
const HOLE = 256 * 1024;

class Recorder implements LayerTarget {
  readonly files = new Map<Directory, Map<string, RecordedFile>>();
  readonly #options: RecordOptions;
  #serial = 0;
  #file: OpenRecord | undefined;
  /** The bytes that the file has in the end. */
  #size = 0;

  constructor(options: RecordOptions) {
    this.#options = options;
  }

  begin(): void {}

  createFile(spot: Spot, attributes: Attributes, size: number): void {
    const serial = this.#serial++;
    this.#file = new OpenRecord(spot, attributes, serial, this.#options.hashes(serial));
    this.#size = size;
  }

  write(bytes: Uint8Array, offset: number): void {
    const record = this.#file as OpenRecord;
    record.reach(offset);
    record.hash?.update(bytes);
    record.size = offset + bytes.byteLength;
  }

  endFile(): void {
    const record = this.#file as OpenRecord;
    record.reach(this.#size);
    const { spot, attributes, serial, size, hash } = record;
    const recorded = new RecordedFile('file', this.#asUnpacked(attributes), { serial });
    recorded.size = size;
    recorded.content = hash?.digest('hex');
    this.#put(spot, recorded);
    this.#file = undefined;
  }

  createDirectory(): void {}

  createSymlink(spot: Spot, target: string, attributes: Attributes): void {
    this.#put(spot, new RecordedFile('symbolic link', this.#asUnpacked(attributes), { target }));
  }

  createHardLink(spot: Spot, existing: Spot): void {
    const file = this.files.get(existing.directory)?.get(existing.name) as RecordedFile;
    file.links++;
    this.#put(spot, file);
  }

  createNode(spot: Spot, type: number, device: number, attributes: Attributes): void {
    const recorded = this.#asUnpacked(attributes);
    if (type === S.IFIFO) {
      this.#put(spot, new RecordedFile('FIFO', recorded, {}));
      return;
    }
    // Without the privilege to make devices, empty files take their places.
    const full = this.#options.privileges === 'full';
    const kind = type === S.IFBLK ? 'block device' : 'character device';
    const numbers = full ? deviceNumbers(device) : {};
    this.#put(spot, new RecordedFile(full ? kind : 'file', recorded, numbers));
  }

  unlink({ directory, name }: Spot): void {
    const files = this.files.get(directory);
    const file = files?.get(name);
    if (file !== undefined) file.links--;
    files?.delete(name);
  }

  removeDirectory(directory: Directory): void {
    this.files.delete(directory);
  }

  #put({ directory, name }: Spot, file: RecordedFile): void {
    const files = this.files.get(directory);
    if (files === undefined) this.files.set(directory, new Map([[name, file]]));
    else files.set(name, file);
  }

  #asUnpacked(attributes: Attributes): Attributes {
    return asUnpacked(attributes, this.#options.privileges);
  }
}

/** The attributes that a file has on disk, in the order of their names. */
function asUnpacked(attributes: Attributes, privileges: Privileges): Attributes {
  const xattrs = attributes.xattrs
    .filter(
      ({ name }) =>
        mayBring(name, privileges) &&
        (privileges !== 'rootless' || !/^(security|trusted)\./.test(latin1(name))),
    )
    .toSorted((a, b) => Buffer.compare(a.name, b.name));
  return { ...attributes, xattrs };
}

/** Takes a number apart as makedev(3) puts it together. */
function deviceNumbers(device: number): { major: number; minor: number } {
  return {
    major: (device >>> 8) & 0xfff,
    minor: (device & 0xff) | (Math.floor(device / 0x100000) << 8),
  };
}
