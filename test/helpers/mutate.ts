/** Changes archives as chance and malice would: always in the same way for the same seed. */

/** Random numbers from 0 up to a bound, which it does not reach. */
export type Random = (bound: number) => number;

/** Numbers that are random enough for tests, and the same for every run (xorshift32). */
export function randomFrom(seed: number): Random {
  let state = seed | 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

export const pick = <T>(random: Random, list: readonly T[]): T => list[random(list.length)] as T;

/** Fields of a tar header: where each begins, and its length. */
const FIELDS = [
  [0, 100],
  [100, 8],
  [108, 8],
  [116, 8],
  [124, 12],
  [136, 12],
  [156, 1],
  [157, 100],
  [257, 8],
  [329, 8],
  [337, 8],
  [345, 155],
  [386, 96],
  [482, 1],
  [483, 12],
] as const;

const NUMBERS = [
  '0',
  '7777777',
  '77777777777',
  '-1',
  '9',
  ' ',
  '\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff',
  '\u0080\0\0\0\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff',
  '\u0080\0\0\0\0\0\0\0\0\0\u0010\0',
  '20',
  '1000',
];

/**
 * Changes an archive once.
 *
 * @param parts the archive's entries, each a whole number of blocks that begins with a header
 * @param names what names and link targets may become
 */
export function mutate(
  parts: readonly Buffer[],
  names: readonly string[],
  random: Random,
): Buffer[] {
  const changed: Buffer[] = parts.map((part) => Buffer.from(part));
  const at = random(changed.length);
  const part = changed[at] as Buffer;
  switch (random(20)) {
    case 0:
      changed.splice(at, 1);
      break;
    case 1:
      changed.splice(random(changed.length + 1), 0, part);
      break;
    case 2:
      changed.splice(random(changed.length + 1), 0, ...changed.splice(at, 1));
      break;
    case 3:
      part[random(part.length)] = random(256);
      break;
    case 4:
      changed[at] = part.subarray(0, random(part.length));
      break;
    case 5:
      changed.splice(at, 0, Buffer.alloc(512 * (1 + random(3)), random(3) === 0 ? 'x' : 0));
      break;
    case 6:
    case 7:
    case 8:
    case 9:
      changed[at] = changeText(part, names, random);
      break;
    default:
      changeHeader(part, names, random);
  }
  return changed.length === 0 ? [Buffer.alloc(512)] : changed;
}

/** Changes a field of a header, and makes its checksum right again. */
function changeHeader(part: Buffer, names: readonly string[], random: Random): void {
  const blocks = Math.floor(part.length / 512);
  const headers = Array.from({ length: blocks }, (_, i) => 512 * i).filter(
    (at) => part.toString('latin1', at + 257, at + 262) === 'ustar',
  );
  if (headers.length === 0) return;
  const start = pick(random, headers);
  const block = part.subarray(start, start + 512);
  const [offset, length] = pick(random, FIELDS);
  const isText = length === 100 || length === 155;
  const value =
    length === 1
      ? pick(random, [...'01234567xgLKSDMVZ\0'])
      : pick(random, isText ? names : NUMBERS);
  block.fill(0, offset, offset + length);
  block.write(value.slice(0, length), offset, 'latin1');
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

/** Changes the value of a record in an extended header, and makes its length right again. */
function changeText(part: Buffer, names: readonly string[], random: Random): Buffer {
  const text = part.toString('latin1');
  const records = [...text.matchAll(/(\d+) ([\w.]+)=([^\n]*)\n/g)];
  if (records.length === 0) return part;
  const [whole, , key] = pick(random, records) as unknown as [string, string, string];
  const value = pick(random, [...names, ...NUMBERS, '1e9', 'NaN', '1,2,3', '4,-4,0,12', '']);
  let length = key.length + value.length + 3;
  while (`${length}`.length + key.length + value.length + 3 !== length) length++;
  const record = `${length} ${key}=${value}\n`;
  const body = text.replace(whole, () => record).slice(0, part.length);
  return Buffer.from(body.padEnd(part.length, '\0'), 'latin1');
}
