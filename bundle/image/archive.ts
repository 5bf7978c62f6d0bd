import { closeSync, fstatSync, readSync } from 'node:fs';
import { posix } from 'node:path';
import { decimal, text } from '../layers/tar/fields.ts';
import { BLOCK, type Header, isZero, parseHeader } from '../layers/tar/header.ts';
import { parseRecords } from '../layers/tar/pax.ts';
import type { Extent, Storage } from './storage.ts';

/** Header records (names, sizes) are small; anything above this is damage or malice. */
const RECORD_LIMIT = 1024 * 1024;

/** Links in a row: `docker save` makes one, from a layer to another that is the same. */
const MOST_LINKS = 8;

/** A file of the archive, or what else its entry is. */
type Entry =
  | { readonly position: number; readonly size: number }
  | { readonly kind: string }
  | { readonly target: string };

/** What extended headers say of the entry that follows them. */
interface Override {
  name?: string;
  size?: number;
}

/**
 * Serves a layout from a tar archive, in place: the headers are read once, the files where they
 * lie. An entry that comes twice counts as the last one, as for tar itself.
 *
 * @param path the archive as the user named it
 * @param fd the archive, open; it is closed by `close`
 * @throws Error when the file is no tar archive, or is cut off
 */
export function archiveStorage(path: string, fd: number): Storage {
  const entries = readIndex(fd);
  return {
    path,
    topLevel: () =>
      [...new Set([...entries.keys()].map((name) => name.split('/')[0] ?? ''))].sort(),
    open: (name) => openEntry(entries, fd, name),
    close: () => closeSync(fd),
  };
}

function openEntry(entries: Map<string, Entry>, fd: number, name: string): Extent | undefined {
  let entry = entries.get(name);
  for (let count = 0; entry !== undefined && 'target' in entry; count++) {
    if (count === MOST_LINKS) throw new Error(`${name} is a link to a link and so on`);
    entry = entries.get(entry.target);
  }
  if (entry === undefined) return undefined;
  if ('kind' in entry) throw new Error(`${name} is ${entry.kind} in the archive, not a file`);
  return { fd, ...entry, owned: false };
}

function readIndex(fd: number): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  const end = fstatSync(fd).size;
  if (end < BLOCK) throw new Error('not a tar archive: it is too short');
  const block = Buffer.alloc(BLOCK);
  let override: Override = {};
  for (let at = 0; at < end; ) {
    if (at + BLOCK > end) throw new Error(`the tar archive is cut off at byte ${end}`);
    readFully(fd, block, at);
    if (isZero(block)) break;
    const header = headerAt(block, at);
    const size = override.size ?? header.size;
    const body = at + BLOCK;
    const name = override.name ?? header.name.toString();
    if (size < 0) throw new Error(`the tar archive is damaged: the size of ${name} is ${size}`);
    if (body + size > end)
      throw new Error(
        `the tar archive is cut off: ${name} ends at byte ${body + size}, the archive at ${end}`,
      );
    if ('xLK'.includes(header.type)) {
      override = { ...override, ...readOverride(fd, header.type, body, size) };
    } else if (header.type !== 'g') {
      entries.set(canonical(name), describeEntry(header, canonical(name), body, size));
      override = {};
    }
    at = body + Math.ceil(size / BLOCK) * BLOCK;
  }
  return entries;
}

function headerAt(block: Buffer, at: number): Header {
  try {
    return parseHeader(block);
  } catch (error) {
    if (at === 0) throw new Error('not a tar archive', { cause: error });
    throw new Error(`the tar archive is damaged at byte ${at}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function describeEntry(
  { type, linkName }: Header,
  name: string,
  position: number,
  size: number,
): Entry {
  if (type === '0' || type === '\0' || type === '7') return { position, size };
  if (type === '5') return { kind: 'a directory' };
  const target = linkName.toString();
  if (type === '1') return { target: canonical(target) };
  if (type === '2' && target.startsWith('/')) return { kind: 'a link' };
  // Nothing leads out of the archive.
  if (type === '2') return { target: posix.join('/', posix.dirname(name), target).slice(1) };
  return { kind: 'a special or sparse file' };
}

function readOverride(fd: number, type: string, position: number, size: number): Override {
  if (size > RECORD_LIMIT) throw new Error(`the tar archive has a header of ${size} bytes`);
  const body = Buffer.alloc(size);
  readFully(fd, body, position);
  if (type === 'L') return { name: text(body, 0, size).toString() };
  if (type === 'K') return {};
  const records = parseRecords(body);
  const name = records.get('path')?.toString();
  const stored = records.get('size')?.toString();
  return {
    ...(name ? { name } : {}),
    ...(stored ? { size: decimal(stored, 'size') } : {}),
  };
}

/** Archives name the same file as `index.json` and `./index.json`. */
function canonical(name: string): string {
  return name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function readFully(fd: number, into: Buffer, position: number): void {
  let filled = 0;
  while (filled < into.length) {
    const count = readSync(fd, into, filled, into.length - filled, position + filled);
    if (count === 0) throw new Error('the tar archive became shorter while it was read');
    filled += count;
  }
}
