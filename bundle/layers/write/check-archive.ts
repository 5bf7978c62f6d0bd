import { printable } from '../names.ts';
import type { SizeLimit } from '../size-limit.ts';
import { BLOCK } from '../tar/header.ts';
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
  let size = 0;
  let entries = 0;
  const visitor = { entry: () => void entries++, content() {}, end() {} };
  const reader = new TarReader(limit === undefined ? visitor : limit.watch(visitor));
  const attempt = (work: () => void, what: () => string) => {
    try {
      work();
    } catch (cause) {
      const entry = reader.entryName === undefined ? '' : `${printable(reader.entryName)}: `;
      throw new Error(`${name}${what()}: ${entry}${(cause as Error).message}`, { cause });
    }
  };
  const noArchive = () =>
    entries === 0 && reader.entryName === undefined ? ' is no tar archive' : '';
  for await (const chunk of bytes) {
    size += chunk.byteLength;
    attempt(
      () => limit?.inflated(chunk.byteLength),
      () => '',
    );
    attempt(() => reader.push(chunk), noArchive);
    yield chunk;
  }
  if (size < BLOCK) throw new Error(`${name} is no tar archive: it is too short`);
  attempt(() => reader.finish(), noArchive);
}
