import { crc32 } from 'node:zlib';

/** The flags of a member's header (RFC 1952, 2.3.1). */
const FLAG = { headerCrc: 2, extra: 4, name: 8, comment: 16, reserved: 0xe0 } as const;
const FIXED = 10;
const DEFLATE = 8;

/**
 * Finds the end of the header that a member of a gzip file begins with (RFC 1952, 2.3).
 *
 * @param bytes the member's first bytes
 * @returns the header's length; undefined when it goes on beyond these bytes
 * @throws Error in the words of zlib, for it tells the same where it reads the header
 */
export function gzipHeaderLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < 2) return undefined;
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) throw new Error('incorrect header check');
  if (bytes.length < FIXED) return undefined;
  if (bytes[2] !== DEFLATE) throw new Error('unknown compression method');
  const flags = bytes[3] as number;
  if ((flags & FLAG.reserved) !== 0) throw new Error('unknown header flags set');
  let at = FIXED;
  if ((flags & FLAG.extra) !== 0) at += 2 + littleEndian16(bytes, at);
  for (const flag of [FLAG.name, FLAG.comment]) {
    if ((flags & flag) === 0) continue;
    const end = bytes.indexOf(0, at);
    if (end < 0) return undefined;
    at = end + 1;
  }
  if ((flags & FLAG.headerCrc) !== 0) {
    if (bytes.length < at + 2) return undefined;
    if (littleEndian16(bytes, at) !== (crc32(bytes.subarray(0, at)) & 0xffff))
      throw new Error('header crc mismatch');
    at += 2;
  }
  return bytes.length < at ? undefined : at;
}

/** A number of two bytes; those that are missing count as zeros. */
function littleEndian16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}
