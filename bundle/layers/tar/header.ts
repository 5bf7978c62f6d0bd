import { number, text } from './fields.ts';

export const BLOCK = 512;

const GNU_MAGIC = Buffer.from('ustar  \0');
const USTAR_MAGIC = Buffer.from('ustar\0');
const EMPTY = Buffer.alloc(0);

/** One header block as it stands: ustar(5), GNU tar's manual, “Basic Tar Format”. */
export interface Header {
  readonly name: Buffer;
  readonly linkName: Buffer;
  /** One character; an old archive's NUL is told apart from `0`. */
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes that follow in the archive. */
  readonly size: number;
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
  /** Where the format has GNU's fields instead of a prefix of the name. */
  readonly gnu: boolean;
}

/** Whether a block is one of those that end an archive. */
export function isZero(block: Buffer): boolean {
  // Headers begin with a name: one look tells.
  return block[0] === 0 && block.every((byte) => byte === 0);
}

/**
 * Reads a header block, of any of the formats v7, ustar, GNU, and star.
 *
 * @throws Error when it is no header, or a field is damaged
 */
export function parseHeader(block: Buffer): Header {
  const gnu = GNU_MAGIC.compare(block, 257, 265) === 0;
  const ustar = USTAR_MAGIC.compare(block, 257, 263) === 0;
  if (!checksumMatches(block)) throw new Error('this is not a tar header: its checksum is wrong');
  const type = String.fromCharCode(block[156] as number);
  const device = (gnu || ustar) && (type === '3' || type === '4');
  return {
    name: fullName(block, ustar),
    linkName: block[157] === 0 ? EMPTY : Buffer.from(text(block, 157, 100)),
    type,
    mode: number(block, 100, 8, 'mode'),
    uid: number(block, 108, 8, 'uid'),
    gid: number(block, 116, 8, 'gid'),
    size: number(block, 124, 12, 'size'),
    mtime: number(block, 136, 12, 'mtime'),
    major: device ? number(block, 329, 8, 'major device number') : 0,
    minor: device ? number(block, 337, 8, 'minor device number') : 0,
    gnu,
  };
}

function fullName(block: Buffer, ustar: boolean): Buffer {
  const name = text(block, 0, 100);
  if (!ustar) return Buffer.from(name);
  if (block[345] === 0) return Buffer.from(name);
  // star keeps two times behind a shorter prefix, and says so in the block's last bytes.
  const star = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = text(block, 345, star ? 131 : 155);
  return Buffer.concat([prefix, Buffer.from('/'), name]);
}

/** Old tars summed the bytes as signed ones: both sums are right. */
function checksumMatches(block: Buffer): boolean {
  // The checksum's own bytes count as blanks.
  let unsigned = 8 * 0x20;
  let negative = 0;
  for (let i = 0; i < BLOCK; i++) {
    if (i === 148) i = 156;
    const byte = block[i] as number;
    unsigned += byte;
    negative += byte >> 7;
  }
  let expected: number;
  try {
    expected = number(block, 148, 8, 'checksum');
  } catch {
    return false;
  }
  return expected === unsigned || expected === unsigned - 0x100 * negative;
}
