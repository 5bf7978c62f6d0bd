import { decimal, type Time, time } from './fields.ts';
import type { Header } from './header.ts';
import { type Records, SPARSE_MAP } from './pax.ts';
import { type Extent, parseSparseMap } from './sparse.ts';

export type EntryType =
  | 'file'
  | 'hard link'
  | 'symbolic link'
  | 'character device'
  | 'block device'
  | 'directory'
  | 'FIFO';

/** An extended attribute. Names and values are bytes. */
export interface Xattr {
  readonly name: Buffer;
  readonly value: Buffer;
}

/** What an archive says of one file. */
export interface TarEntry {
  readonly type: EntryType;
  /** Byte for byte as in the archive. */
  readonly name: Buffer;
  /** The target of a symbolic link; the name of the entry that a hard link is another name of. */
  readonly linkName: Buffer;
  /** Permissions with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the file, its holes included; 0 for all but files. */
  readonly size: number;
  readonly mtime: Time;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: readonly Xattr[];
}

/** Names of GNU's long name headers, which count before all others. */
export interface LongNames {
  readonly name?: Buffer;
  readonly linkName?: Buffer;
}

const TYPES: Readonly<Record<string, EntryType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hard link',
  '2': 'symbolic link',
  '3': 'character device',
  '4': 'block device',
  '5': 'directory',
  '6': 'FIFO',
  // “Contiguous”: a file, on systems that know no other.
  '7': 'file',
  S: 'file',
};

const XATTR = 'SCHILY.xattr.';

/**
 * Puts together what the headers before a file's content say of it.
 *
 * @param records of the extended headers that hold for this entry
 * @throws Error for a type that has no place in a layer, and for damaged records
 */
export function makeEntry(header: Header, records: Records, long: LongNames): TarEntry {
  const name =
    long.name ?? record(records, 'GNU.sparse.name') ?? record(records, 'path') ?? header.name;
  const type = entryType(header, name);
  return {
    type,
    name,
    linkName: long.linkName ?? record(records, 'linkpath') ?? header.linkName,
    mode: header.mode & 0o7777,
    uid: numeric(records, 'uid') ?? header.uid,
    gid: numeric(records, 'gid') ?? header.gid,
    size: type === 'file' ? storedSize(header, records) : 0,
    mtime: modified(header, records),
    major: header.major,
    minor: header.minor,
    xattrs: xattrs(records),
  };
}

function entryType(header: Header, name: Buffer): EntryType {
  const type = TYPES[header.type];
  if (type === undefined)
    throw new Error(`its type ${JSON.stringify(header.type)} has no place in a layer`);
  // Before there was a type for directories, a slash at the name's end made one.
  return header.type === '\0' && name.at(-1) === 0x2f ? 'directory' : type;
}

/** Bytes that the archive stores for a file. */
function storedSize(header: Header, records: Records): number {
  const size = numeric(records, 'size') ?? header.size;
  if (size < 0) throw new Error(`its size is ${size}`);
  return size;
}

function modified(header: Header, records: Records): Time {
  const value = record(records, 'mtime');
  return value === undefined
    ? { seconds: header.mtime, nanoseconds: 0 }
    : time(value.toString('latin1'), 'modification time');
}

function xattrs(records: Records): Xattr[] {
  const found: Xattr[] = [];
  for (const [key, value] of records) {
    // A record without a value is taken back (POSIX, pax), even where it could have been meant.
    if (key.startsWith(XATTR) && key.length > XATTR.length && value.length > 0)
      found.push({ name: Buffer.from(key.slice(XATTR.length), 'latin1'), value });
  }
  return found;
}

/** A record that has a value: an empty one takes back what a global header said. */
function record(records: Records, key: string): Buffer | undefined {
  const value = records.get(key);
  return value === undefined || value.length === 0 ? undefined : value;
}

function numeric(records: Records, key: string): number | undefined {
  const value = record(records, key);
  return value === undefined ? undefined : decimal(value.toString('latin1'), key);
}

/** How the content of a sparse file in one of PAX's formats is laid out. */
export interface PaxSparse {
  /** Bytes, with holes. */
  readonly size: number;
  /** undefined when it stands before the content (format 1.0). */
  readonly extents: Extent[] | undefined;
}

/**
 * Tells whether extended headers make a file a sparse one (GNU tar's manual, “Storing Sparse
 * Files”: formats 0.0, 0.1 and 1.0).
 *
 * @throws Error for a later format, and where the size is missing
 */
export function paxSparse(records: Records): PaxSparse | undefined {
  const map = records.get(SPARSE_MAP);
  const major = record(records, 'GNU.sparse.major')?.toString('latin1');
  const minor = record(records, 'GNU.sparse.minor')?.toString('latin1');
  if (major === undefined && map === undefined) return undefined;
  const before = major === '1' && minor === '0';
  if (!before && map === undefined)
    throw new Error(`its sparse format is ${major}.${minor}; 0.0, 0.1 and 1.0 are known`);
  const size = numeric(records, 'GNU.sparse.realsize') ?? numeric(records, 'GNU.sparse.size');
  if (size === undefined || size < 0) throw new Error('its sparse map comes without a size');
  return { size, extents: before ? undefined : parseSparseMap((map as Buffer).toString('latin1')) };
}
