/** A point in time, to the nanosecond. */
export interface Time {
  /** Since the epoch; may be negative. */
  readonly seconds: number;
  /** 0 to 999 999 999, counted forward from `seconds`. */
  readonly nanoseconds: number;
}

/** The bytes of a field up to its first NUL. */
export function text(block: Buffer, offset: number, length: number): Buffer {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

/**
 * The number in a field of a header: octal digits with blanks around them, or (GNU's and
 * star's extension for what octal can't hold) big-endian binary, marked by the first bit.
 *
 * @throws Error when it is neither, or beyond ±2^53
 */
export function number(block: Buffer, offset: number, length: number, what: string): number {
  if (((block[offset] as number) & 0x80) !== 0) return binary(block, offset, length, what);
  const end = offset + length;
  let at = offset;
  while (at < end && isBlank(block[at] as number)) at++;
  // Byte by byte: headers have some seven of these, and a layer may have 100,000 headers. No field has
  // more than 12 digits, whose 36 bits are exact.
  let value = 0;
  for (; at < end && !isBlank(block[at] as number); at++) {
    const digit = (block[at] as number) - 0x30;
    if (digit < 0 || digit > 7) {
      const found = block.toString('latin1', offset, end).replace(/^[ \0]+|[ \0].*$/gs, '');
      throw new Error(`its ${what} is ${JSON.stringify(found)}, not an octal number`);
    }
    value = value * 8 + digit;
  }
  return value;
}

const isBlank = (byte: number) => byte === 0x20 || byte === 0;

function binary(block: Buffer, offset: number, length: number, what: string): number {
  const bytes = Buffer.from(block.subarray(offset, offset + length));
  const negative = ((bytes[0] as number) & 0x40) !== 0;
  // The mark is not part of the number; below it the sign is spread as in two's complement.
  bytes[0] = negative ? (bytes[0] as number) | 0x80 : (bytes[0] as number) & 0x7f;
  return safe(BigInt.asIntN(8 * length, BigInt(`0x${bytes.toString('hex')}`)), what);
}

/** The number of a PAX record: decimal digits. @throws Error when it is none, or beyond 2^53 */
export function decimal(value: string, what: string): number {
  if (!/^-?[0-9]+$/.test(value))
    throw new Error(`its ${what} is ${JSON.stringify(value)}, not a decimal number`);
  return safe(BigInt(value), what);
}

/** The time of a PAX record: decimal seconds with a fraction. @throws Error when it is none */
export function time(value: string, what: string): Time {
  const match = /^(-?)([0-9]+)(?:\.([0-9]*))?$/.exec(value);
  if (match === null) throw new Error(`its ${what} is ${JSON.stringify(value)}, not a time`);
  const [, sign, whole, fraction = ''] = match;
  const seconds = decimal(whole as string, what);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds }
    : { seconds: -1 - seconds, nanoseconds: 1e9 - nanoseconds };
}

function safe(value: bigint, what: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER))
    throw new Error(`its ${what} is ${value}, which is beyond anything that can be stored`);
  return Number(value);
}
