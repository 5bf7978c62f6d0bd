import type { Compressed } from './source.ts';

/** Unpacks zstd in JavaScript, where the platform can't. */
export async function* throughScript(
  source: Compressed,
  Decompress: typeof import('fzstd').Decompress,
): AsyncGenerator<Uint8Array> {
  let unpacked: Uint8Array[] = [];
  const engine = new Decompress((chunk) => {
    unpacked.push(chunk);
  });
  const push = (chunk: Uint8Array, final: boolean): Uint8Array[] => {
    unpacked = [];
    try {
      engine.push(chunk, final);
    } catch (error) {
      const { message } = error as Error;
      if (/EOF/.test(message)) throw new Error('its zstd data is truncated', { cause: error });
      throw new Error(`its zstd data is damaged: ${message}`, { cause: error });
    }
    return unpacked;
  };
  for (let next = await source.next(); next.done !== true; next = await source.next())
    yield* push(next.value, false);
  yield* push(new Uint8Array(0), true);
}
