import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { errnoCode } from '../../runtime/linux/errno.ts';
import { SyscallError, trySyscall } from '../../runtime/linux/syscall.ts';

/** Reads whole trees of files back from the kernel, and tells how two differ. */

/** One file of a tree, as text to compare. */
export interface FileRecord {
  readonly type: string;
  readonly mode: string;
  readonly owner: string;
  readonly mtime: string;
  readonly size: string;
  readonly digest: string;
  readonly target: string;
  readonly rdev: string;
  /** `name=hexadecimal` of each, in order. */
  readonly xattrs: string;
  /** The first path, in order, of those that are the same file. */
  readonly firstLink: string;
}

const TYPES = [
  'FIFO',
  'character device',
  '',
  'directory',
  '',
  'block device',
  '',
  'file',
  '',
  'link',
];
const separator = Buffer.from('/');

/**
 * Reads a tree.
 *
 * @returns records by path below `root` (latin1, so that every name is told apart)
 */
export function readTree(root: string): Map<string, FileRecord> {
  const records = new Map<string, FileRecord>();
  const links = new Map<string, string>();
  const visit = (path: Buffer, name: string) => {
    const record = readRecord(path, name, links);
    records.set(name === '' ? '.' : name, record);
    if (record.type !== 'directory') return;
    const children = readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare);
    for (const child of children) {
      const childName = child.toString('latin1');
      visit(
        Buffer.concat([path, separator, child]),
        name === '' ? childName : `${name}/${childName}`,
      );
    }
  };
  visit(Buffer.from(root), '');
  return records;
}

function readRecord(path: Buffer, name: string, links: Map<string, string>): FileRecord {
  const status = lstatSync(path, { bigint: true });
  const type = TYPES[Number((status.mode & 0o170000n) >> 12n) - 1] || 'socket';
  const inode = `${status.dev}:${status.ino}`;
  const firstLink = type === 'directory' ? name : (links.get(inode) ?? name);
  links.set(inode, firstLink);
  return {
    type,
    mode: (status.mode & 0o7777n).toString(8),
    owner: `${status.uid}:${status.gid}`,
    mtime: `${status.mtimeNs}`,
    size: type === 'file' ? `${status.size}` : '',
    digest: type === 'file' ? digestOf(path) : '',
    target: type === 'link' ? readlinkSync(path, { encoding: 'buffer' }).toString('latin1') : '',
    rdev: type.endsWith('device') ? `${status.rdev}` : '',
    xattrs: readXattrs(path)
      .map(([key, value]) => `${key}=${value.toString('hex')}`)
      .join(' '),
    firstLink,
  };
}

function digestOf(path: Buffer): string {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(1024 * 1024);
  const fd = openSync(path, 'r');
  try {
    for (let n = readSync(fd, buffer); n > 0; n = readSync(fd, buffer))
      hash.update(buffer.subarray(0, n));
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}

/** As large as lists and values of extended attributes get. */
const names = Buffer.alloc(64 * 1024);
const value = Buffer.alloc(64 * 1024);

/** All extended attributes of a file (of a symbolic link itself), ordered by name. */
export function readXattrs(path: Buffer | string): [name: string, value: Buffer][] {
  const cPath = Buffer.concat([Buffer.from(path), Buffer.alloc(1)]);
  const length = trySyscall('llistxattr', cPath, names, names.length);
  if (length === -errnoCode('EOPNOTSUPP')) return [];
  if (length < 0) throw new SyscallError('llistxattr', [String(path)], -length);
  return names
    .toString('latin1', 0, length)
    .split('\0')
    .filter((name) => name !== '')
    .sort()
    .map((name) => {
      const key = Buffer.from(`${name}\0`, 'latin1');
      const size = trySyscall('lgetxattr', cPath, key, value, value.length);
      if (size < 0) throw new SyscallError('lgetxattr', [String(path), name], -size);
      return [name, Buffer.from(value.subarray(0, size))];
    });
}

/**
 * Compares two trees.
 *
 * @param ignore fields that may differ
 * @returns a sentence for each difference, at most `limit` of them
 */
export function differences(
  expected: ReadonlyMap<string, FileRecord>,
  actual: ReadonlyMap<string, FileRecord>,
  { limit = 20, ignore = [] }: { limit?: number; ignore?: readonly (keyof FileRecord)[] } = {},
): string[] {
  const found: string[] = [];
  for (const path of [...new Set([...expected.keys(), ...actual.keys()])].sort()) {
    const [left, right] = [expected.get(path), actual.get(path)];
    if (right === undefined) found.push(`${path} is missing`);
    else if (left === undefined) found.push(`${path} is there, but should not be`);
    else {
      for (const field of Object.keys(left) as (keyof FileRecord)[]) {
        if (left[field] !== right[field] && !ignore.includes(field))
          found.push(`${path}: ${field} is "${right[field]}" instead of "${left[field]}"`);
      }
    }
    if (found.length >= limit) return found.slice(0, limit);
  }
  return found;
}
