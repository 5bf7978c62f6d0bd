/** The records of PAX extended headers by key. Values are bytes. */
export type Records = Map<string, Buffer>;

/** What the records of GNU's first sparse format, which repeat, are gathered under. */
export const SPARSE_MAP = 'GNU.sparse.map';

const NO_NUL = new Set(['path', 'linkpath', 'GNU.sparse.name']);

/**
 * Takes the body of an extended header apart (POSIX, pax, “Extended Header”): records of
 * `length key=value\n`, where the length counts the whole record.
 *
 * @throws Error when a record lies about its length, or is no record
 */
export function parseRecords(body: Buffer): Records {
  const records: Records = new Map();
  const sparse: string[] = [];
  let at = 0;
  // Some writers pad the body with NULs.
  while (at < body.length && body[at] !== 0) {
    const space = body.indexOf(0x20, at);
    const digits = body.toString('latin1', at, space < 0 ? at : Math.min(space, at + 21));
    const end = at + Number(digits);
    const equals = body.indexOf(0x3d, space);
    if (!/^[0-9]+$/.test(digits) || end > body.length || equals <= space + 1 || equals >= end - 1)
      throw new Error(`its extended header is damaged at byte ${at}: no record, or a wrong length`);
    if (body[end - 1] !== 0x0a)
      throw new Error(`its extended header is damaged at byte ${at}: a record without its end`);
    // Keys are UTF-8 by the standard, and bytes in the wild (names of extended attributes).
    const key = body.toString('latin1', space + 1, equals);
    const value = body.subarray(equals + 1, end - 1);
    if (key.includes('\0') || (NO_NUL.has(key) && value.includes(0)))
      throw new Error(`its extended header has a NUL byte in ${JSON.stringify(key)}`);
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      // An offset and a number of bytes take turns, in the order of the file.
      if ((sparse.length % 2 === 0) !== (key === 'GNU.sparse.offset'))
        throw new Error('its extended header has a sparse map that is out of order');
      sparse.push(value.toString('latin1'));
    } else {
      records.set(key, value);
    }
    at = end;
  }
  if (sparse.length > 0) records.set(SPARSE_MAP, Buffer.from(sparse.join(',')));
  return records;
}
