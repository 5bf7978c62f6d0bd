import { WHITEOUT } from '../names.ts';
import type { EntryType, TarEntry } from '../tar/entry.ts';
import type { Time } from '../tar/fields.ts';
import { BLOCK } from '../tar/header.ts';

const TYPES: Readonly<Record<EntryType, string>> = {
  file: '0',
  'hard link': '1',
  'symbolic link': '2',
  'character device': '3',
  'block device': '4',
  directory: '5',
  FIFO: '6',
};

/** The most that octal digits of a field hold, one byte being its end. */
const OCTAL_8 = 0o7777777;
const OCTAL_12 = 0o77777777777;

/** Bytes of a name or a link's target in a header: ustar(5). */
const NAME = 100;

/**
 * Writes what stands before an entry's content: a ustar header and, where it can't say all
 * (nanoseconds, long names, large numbers, extended attributes), an extended header before it
 * (POSIX, pax). Everything that describes the writer rather than the file is left out, so that
 * equal entries are equal bytes.
 *
 * @param entry attributes without a value can't be written, nor those with `=` in their name
 */
export function encodeEntry(entry: TarEntry): Buffer {
  const records = extendedRecords(entry);
  const header = encodeHeader(entry);
  if (records.length === 0) return header;
  const body = Buffer.concat(records);
  const extended = encodeHeader({
    ...NOTHING,
    name: Buffer.from('PaxHeaders/entry'),
    size: body.length,
    code: 'x',
  });
  return Buffer.concat([extended, body, Buffer.alloc(paddingOf(body.length)), header]);
}

/** The entry by which a layer hides a file of lower layers: layer.md, Whiteouts. */
export function whiteoutEntry(directory: string, name: string): TarEntry {
  const path = `${directory === '' ? '' : `${directory}/`}${WHITEOUT}${name}`;
  return { ...NOTHING, type: 'file', name: Buffer.from(path, 'latin1'), mode: 0 };
}

/** How many bytes fill content up to whole blocks. */
export function paddingOf(size: number): number {
  const over = size % BLOCK;
  return over === 0 ? 0 : BLOCK - over;
}

const EMPTY = Buffer.alloc(0);
const NOTHING = {
  linkName: EMPTY,
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  major: 0,
  minor: 0,
  xattrs: [],
} as const;

type HeaderFields = Omit<TarEntry, 'type' | 'xattrs'> & {
  readonly type?: EntryType;
  readonly code?: string;
};

function encodeHeader(fields: HeaderFields): Buffer {
  const { name, linkName, mode, uid, gid, size, mtime, major, minor, type } = fields;
  const code = fields.code ?? TYPES[type as EntryType];
  const block = Buffer.alloc(BLOCK);
  name.copy(block, 0, 0, NAME);
  octal(block, 100, 8, mode);
  octal(block, 108, 8, uid > OCTAL_8 ? 0 : uid);
  octal(block, 116, 8, gid > OCTAL_8 ? 0 : gid);
  octal(block, 124, 12, size > OCTAL_12 ? 0 : size);
  octal(block, 136, 12, timeFits(mtime) ? mtime.seconds : 0);
  block.write(code, 156, 'latin1');
  linkName.copy(block, 157, 0, NAME);
  block.write('ustar\u000000', 257, 'latin1');
  octal(block, 329, 8, major);
  octal(block, 337, 8, minor);
  // The sum counts its own field as blanks.
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function octal(block: Buffer, offset: number, length: number, value: number): void {
  block.write(value.toString(8).padStart(length - 1, '0'), offset, 'latin1');
}

function extendedRecords({
  name,
  linkName,
  uid,
  gid,
  size,
  mtime,
  xattrs,
}: TarEntry): readonly Buffer[] {
  const long = [
    ...(name.length > NAME ? [['path', name] as const] : []),
    ...(linkName.length > NAME ? [['linkpath', linkName] as const] : []),
  ];
  const numbers = [
    ...(size > OCTAL_12 ? [['size', `${size}`] as const] : []),
    ...(uid > OCTAL_8 ? [['uid', `${uid}`] as const] : []),
    ...(gid > OCTAL_8 ? [['gid', `${gid}`] as const] : []),
    ...(timeFits(mtime) && mtime.nanoseconds === 0 ? [] : [['mtime', decimalTime(mtime)] as const]),
  ];
  const sorted = xattrs.toSorted((a, b) => Buffer.compare(a.name, b.name));
  return [
    // Otherwise names in extended headers are UTF-8.
    ...(long.every(([, value]) => isUtf8(value)) ? [] : [record('hdrcharset', 'BINARY')]),
    ...[...long, ...numbers].map(([key, value]) => record(key, value)),
    ...sorted.map((xattr) => record(`SCHILY.xattr.${xattr.name.toString('latin1')}`, xattr.value)),
  ];
}

/** `length key=value\n`, where the length counts the whole record, itself included. */
function record(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([
    Buffer.from(` ${key}=`, 'latin1'),
    Buffer.from(value as string),
    Buffer.from('\n'),
  ]);
  let length = rest.length;
  while (`${length}`.length + rest.length !== length) length = `${length}`.length + rest.length;
  return Buffer.concat([Buffer.from(`${length}`), rest]);
}

function timeFits({ seconds }: Time): boolean {
  return seconds >= 0 && seconds <= OCTAL_12;
}

/** Seconds with as many digits of a fraction as it takes. */
function decimalTime({ seconds, nanoseconds }: Time): string {
  const negative = seconds < 0;
  const whole = negative && nanoseconds > 0 ? -(seconds + 1) : Math.abs(seconds);
  const fraction = negative && nanoseconds > 0 ? 1e9 - nanoseconds : nanoseconds;
  const digits = fraction === 0 ? '' : `.${`${fraction}`.padStart(9, '0').replace(/0+$/, '')}`;
  return `${negative ? '-' : ''}${whole}${digits}`;
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes);
}
