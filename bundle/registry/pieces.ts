/** What follows the first bytes of a content, all of which is read. @param count how many are left out */
export async function* skipped(
  content: AsyncIterable<Uint8Array>,
  count: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = count;
  for await (const chunk of content) {
    const part = chunk.subarray(Math.min(left, chunk.byteLength));
    left -= chunk.byteLength - part.byteLength;
    if (part.byteLength > 0) yield part;
  }
}

/** The same content in pieces of one length, of which the last may be shorter. @param length bytes */
export async function* pieces(
  content: AsyncIterable<Uint8Array>,
  length: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of content) {
    let rest = chunk;
    while (size + rest.byteLength >= length) {
      const taken = length - size;
      yield Buffer.concat([...parts, rest.subarray(0, taken)]);
      rest = rest.subarray(taken);
      parts = [];
      size = 0;
    }
    if (rest.byteLength > 0) parts.push(rest);
    size += rest.byteLength;
  }
  if (size > 0) yield Buffer.concat(parts);
}

/** A small content whole. */
export async function gathered(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}
