/**
 * The set that a list of numbers and ranges stands for, as the kernel's masks of CPUs and nodes
 * have it (cpuset(7), List format): `0-3,7`, and with `0-10:2/4` 2 of every 4.
 *
 * @param list well formed
 * @returns whole words of 64 bits, the first number in the lowest bit of the first byte
 */
export function maskOf(list: string): Uint8Array {
  const numbers = list.split(',').flatMap((part) => [...range(part.trim())]);
  const mask = new Uint8Array(8 * Math.ceil((Math.max(-1, ...numbers) + 1) / 64));
  for (const number of numbers) (mask[number >> 3] as number) |= 1 << (number & 7);
  return mask;
}

function* range(part: string): Generator<number> {
  const found = /^(\d+)(?:-(\d+)(?::(\d+)\/(\d+))?)?$/.exec(part);
  if (found === null) return;
  const [first = 0, last = first, used = 1, group = 1] = found
    .slice(1)
    .map((digits) => (digits === undefined ? undefined : Number(digits)));
  for (let number = first; number <= last; number++)
    if ((number - first) % group < used) yield number;
}
