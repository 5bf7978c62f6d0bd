import { printable } from '../names.ts';
import type { SizeLimit } from '../size-limit.ts';
import { TarReader } from '../tar/reader.ts';

/**
 * Hands on the bytes of a tar archive, and checks on the way that it is one.
 *
 * @param name how errors call it
 * @param limit of what it may come to
 * @throws Error in one line that names the entry where it is damaged or cut off
 */
export async function* checkedArchive(
  bytes: AsyncIterable<Uint8Array>,
  name: string,
  limit: SizeLimit | undefined,
): AsyncGenerator<Uint8Array> {
  const visitor = { entry() {}, content() {}, end() {} };
  const reader = new TarReader(limit === undefined ? visitor : limit.watch(visitor));
  const attempt = (work: () => void) => {
    try {
      work();
    } catch (cause) {
      const entry = reader.entryName === undefined ? '' : `${printable(reader.entryName)}: `;
      throw new Error(`${name}: ${entry}${(cause as Error).message}`, { cause });
    }
  };
  for await (const chunk of bytes) {
    attempt(() => {
      limit?.inflated(chunk.byteLength);
      reader.push(chunk);
    });
    yield chunk;
  }
  attempt(() => reader.finish());
}
