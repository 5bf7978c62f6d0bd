/** What was compressed, piece by piece. */
export type Compressed = AsyncIterator<Uint8Array>;

/** Gives out what was not compressed, and what is left of what was. */
export async function* plain(source: Compressed): AsyncGenerator<Uint8Array> {
  for (let next = await source.next(); next.done !== true; next = await source.next())
    yield next.value;
}

/**
 * Looks at bytes behind the end of what was compressed: zeros, with which some writers pad their output.
 *
 * @throws Error for anything else
 */
export function refuseContent(chunk: Uint8Array, format: string): void {
  if (chunk.some((byte) => byte !== 0))
    throw new Error(`its ${format} data is followed by something else`);
}

/** Looks at all that is left, as `refuseContent` does. */
export async function refuseRest(source: Compressed, format: string): Promise<void> {
  for await (const chunk of plain(source)) refuseContent(chunk, format);
}
