/** Writes tar archives header by header, honest and malicious ones. */

export type Bytes = string | Uint8Array;

/** An entry as it is to stand in the archive; nothing is checked or completed. */
export interface TarFields {
  readonly name?: Bytes;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** What the header says; the length of `content` unless given. */
  readonly size?: number;
  readonly mtime?: number;
  readonly type?: string;
  readonly linkName?: Bytes;
  readonly major?: number;
  readonly minor?: number;
  readonly prefix?: Bytes;
  readonly format?: 'ustar' | 'gnu' | 'v7';
  readonly content?: Bytes;
  /** Bytes to put into the finished header before its checksum is made. */
  readonly patches?: readonly (readonly [offset: number, bytes: Bytes])[];
}

function bytesOf(value: Bytes): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : Buffer.from(value);
}

const MAGIC = { ustar: 'ustar\u000000', gnu: 'ustar  \0', v7: '' } as const;

/** One header block, with the checksum that belongs to it. */
export function header(fields: TarFields): Buffer {
  const block = Buffer.alloc(512);
  const put = (offset: number, length: number, value: Bytes) =>
    bytesOf(value).copy(block, offset, 0, length);
  const octal = (offset: number, length: number, value: number) =>
    put(offset, length, value.toString(8).padStart(length - 1, '0'));
  const content = bytesOf(fields.content ?? '');
  put(0, 100, fields.name ?? '');
  octal(100, 8, fields.mode ?? 0o644);
  octal(108, 8, fields.uid ?? 0);
  octal(116, 8, fields.gid ?? 0);
  octal(124, 12, fields.size ?? content.length);
  octal(136, 12, fields.mtime ?? 1_000_000_000);
  put(156, 1, fields.type ?? '0');
  put(157, 100, fields.linkName ?? '');
  put(257, 8, MAGIC[fields.format ?? 'ustar']);
  if (fields.format !== 'v7') {
    octal(329, 8, fields.major ?? 0);
    octal(337, 8, fields.minor ?? 0);
  }
  if (fields.format === undefined || fields.format === 'ustar') put(345, 155, fields.prefix ?? '');
  for (const [offset, bytes] of fields.patches ?? []) put(offset, 512 - offset, bytes);
  put(148, 8, ' '.repeat(8));
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, 8, `${sum.toString(8).padStart(6, '0')}\0 `);
  return block;
}

/** Content, filled up to whole blocks. */
function padded(content: Bytes): Buffer {
  const bytes = bytesOf(content);
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 511)]);
}

/** A header with its content. */
export function entry(fields: TarFields): Buffer {
  return Buffer.concat([header(fields), padded(fields.content ?? '')]);
}

/** The body of a PAX extended header. */
function paxRecords(records: readonly (readonly [key: Bytes, value: Bytes])[]): Buffer {
  return Buffer.concat(
    records.map(([key, value]) => {
      const rest = Buffer.concat([
        bytesOf(key),
        Buffer.from('='),
        bytesOf(value),
        Buffer.from('\n'),
      ]);
      let length = rest.length + 2;
      while (`${length} `.length + rest.length !== length) length++;
      return Buffer.concat([Buffer.from(`${length} `), rest]);
    }),
  );
}

/** An extended header for the entry after it, or (type `g`) for all entries after it. */
export function pax(records: readonly (readonly [key: Bytes, value: Bytes])[], type = 'x'): Buffer {
  return entry({ name: 'PaxHeaders/x', type, content: paxRecords(records) });
}

/** GNU's header for a long name (type `L`) or a long link target (type `K`). */
export function longName(name: Bytes, type: 'L' | 'K' = 'L'): Buffer {
  const content = Buffer.concat([bytesOf(name), Buffer.alloc(1)]);
  return entry({ name: '././@LongLink', type, format: 'gnu', content });
}

/** Ends an archive. */
export const END = Buffer.alloc(1024);

/** A whole archive. Fields become entries; bytes stand in it as they are. */
export function archive(...parts: readonly (TarFields | Buffer)[]): Buffer {
  return Buffer.concat([...parts.map((part) => (Buffer.isBuffer(part) ? part : entry(part))), END]);
}

export const directory = (name: Bytes, fields: TarFields = {}): Buffer =>
  entry({ name, type: '5', mode: 0o755, ...fields });
export const file = (name: Bytes, content: Bytes = '', fields: TarFields = {}): Buffer =>
  entry({ name, content, ...fields });
export const symlink = (name: Bytes, linkName: Bytes): Buffer =>
  entry({ name, linkName, type: '2', mode: 0o777 });
export const hardLink = (name: Bytes, linkName: Bytes): Buffer =>
  entry({ name, linkName, type: '1' });
