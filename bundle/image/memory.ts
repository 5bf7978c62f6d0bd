import type { Content } from './source.ts';

/** Content that is in memory. */
export function memoryContent(bytes: Buffer): Content {
  return {
    size: bytes.byteLength,
    async *read(from = 0) {
      yield bytes.subarray(from);
    },
    release() {},
  };
}
