import { randomBytes } from 'node:crypto';
import { AT, O, S, STATX, STATX_BASIC_STATS, STATX_SIZE } from '../../runtime/linux/constants.ts';
import { type Argument, batch, type Call, trySyscall } from '../../runtime/linux/syscall.ts';
import { latin1 } from '../layers/names.ts';
import { mayBring } from '../layers/privileges.ts';
import type { TarEntry } from '../layers/tar/entry.ts';
import { text, times } from './kernel-form.ts';

/** A file that waits to be made, in an open directory. */
export interface SmallFile {
  readonly parent: number;
  /** One character a byte. */
  readonly name: string;
  readonly entry: TarEntry;
  /** Permissions that it gets. */
  readonly mode: number;
  /** All of its content. */
  readonly content: Uint8Array;
}

/** Bytes of content, and files, that are gathered. */
const MUCH = 1024 * 1024;
const MANY = 64;

/**
 * Makes small files many at a time: a step into native code for each of their calls would take longer
 * than the calls.
 */
export class SmallFiles {
  readonly #archive: boolean;
  readonly #oneByOne: (file: SmallFile) => void;
  #waiting: SmallFile[] = [];
  #bytes = 0;

  /**
   * @param archive whether owners and extended attributes are kept
   * @param oneByOne makes a file that was not made with the others, or tells why there can be none
   */
  constructor(archive: boolean, oneByOne: (file: SmallFile) => void) {
    this.#archive = archive;
    this.#oneByOne = oneByOne;
  }

  add(file: SmallFile): void {
    this.#waiting.push(file);
    this.#bytes += file.content.byteLength;
    if (this.#waiting.length >= MANY || this.#bytes >= MUCH) this.flush();
  }

  /** Makes all that wait. @throws what `oneByOne` throws */
  flush(): void {
    const files = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    if (files.length === 0) return;
    const temporary = files.map(() => text(`.scow-${randomBytes(6).toString('hex')}`));
    const made = this.#make(files, temporary);
    const placed = place(files.slice(0, made), temporary);
    for (const [i, { parent }] of files.entries())
      if (i >= placed && i < made) trySyscall('unlinkat', parent, temporary[i] as Buffer, 0);
    for (const file of files.slice(placed)) this.#oneByOne(file);
  }

  /** Makes the files under other names. @returns how many there are: those from there on are not */
  #make(files: readonly SmallFile[], temporary: readonly Buffer[]): number {
    const flags = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW | O.CLOEXEC;
    const calls: Call[] = [];
    const starts: number[] = [];
    const kinds = Buffer.alloc(files.length * STATX_SIZE);
    for (const [i, file] of files.entries()) {
      const { parent, name, content } = file;
      const fd = { resultOf: calls.length };
      const status = kinds.subarray(i * STATX_SIZE, (i + 1) * STATX_SIZE);
      const look = [parent, text(name), AT.SYMLINK_NOFOLLOW, STATX_BASIC_STATS, status];
      starts.push(calls.length);
      calls.push(
        { name: 'openat', args: [parent, temporary[i] as Buffer, flags, 0o600], stopOnError: true },
        { name: 'pwrite64', args: [fd, content, content.byteLength, 0], stopOnError: true },
        ...attributes(fd, file, this.#archive),
        { name: 'close', args: [fd] },
        { name: 'statx', args: look },
      );
    }
    const results = batch(calls);
    const ends = [...starts.slice(1), calls.length];
    const wrong = files.findIndex(({ content }, i) => {
      const [start, end] = [starts[i] as number, ends[i] as number];
      const whole = results.length >= end && results[start + 1] === content.byteLength;
      const type = kinds.readUInt16LE(i * STATX_SIZE + STATX.mode) & S.IFMT;
      return !whole || ![0, S.IFREG, S.IFLNK].includes(type);
    });
    if (wrong < 0) return files.length;
    const opened = results[starts[wrong] as number] ?? -1;
    // The batch ended before it was closed.
    if (opened >= 0 && results.length < (ends[wrong] as number)) trySyscall('close', opened);
    for (const [i, { parent }] of files.entries())
      if (i >= wrong) trySyscall('unlinkat', parent, temporary[i] as Buffer, 0);
    return wrong;
  }
}

/** Gives files their names. @returns how many have got them */
function place(files: readonly SmallFile[], temporary: readonly Buffer[]): number {
  const results = batch(
    files.map(({ parent, name }, i) => ({
      name: 'renameat',
      args: [parent, temporary[i] as Buffer, parent, text(name)],
      stopOnError: true,
    })),
  );
  const failed = results.findIndex((result) => result < 0);
  return failed < 0 ? files.length : failed;
}

/** The calls that give a file its attributes: those that may fail end the batch, as all do. */
function attributes(fd: Argument, { entry, mode }: SmallFile, archive: boolean): Call[] {
  const call = (name: Call['name'], ...args: Argument[]): Call => ({
    name,
    args: [fd, ...args],
    stopOnError: true,
  });
  const kept = archive ? entry.xattrs.filter(({ name }) => mayBring(name, 'full')) : [];
  return [
    ...(archive ? [call('fchown', entry.uid, entry.gid)] : []),
    call('fchmod', mode),
    ...kept.map(({ name, value }) => call('fsetxattr', text(latin1(name)), value, value.length, 0)),
    call('utimensat', 0, times(entry), 0),
  ];
}
