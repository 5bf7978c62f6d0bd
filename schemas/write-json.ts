/**
 * The text of a value that `parseJson` gave: its bigints are integers again, with all digits.
 *
 * @param value of plain objects, arrays and what JSON has
 */
export function writeJson(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => writeJson(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([name, item]) => `${JSON.stringify(name)}:${writeJson(item)}`);
  return `{${fields.join(',')}}`;
}
