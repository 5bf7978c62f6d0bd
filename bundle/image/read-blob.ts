import type { Descriptor } from '../../schemas/image.ts';
import { hashFor, parseDigest } from './digest.ts';
import type { BlobSource, Content } from './source.ts';
import { readExtent, release, type Storage } from './storage.ts';

/**
 * The largest manifest, index or configuration that is read into memory. Registries need not
 * take manifests above 4 MiB (distribution-spec); this is well above what exists.
 */
const DOCUMENT_LIMIT = 8 * 1024 * 1024;

/** All that was announced came, but it is something else. */
export class WrongContent extends Error {}

/**
 * Reads a blob, and checks that it is what its descriptor says: the size before anything is
 * read, the digest when the last byte was. Every blob of an image is read through here. What was
 * yielded may be trusted only once the iteration has ended without an error.
 *
 * @param what how to call it in an error, such as `layer 2 of 3`
 * @param kept its first bytes, where an earlier reading was interrupted: they are verified with
 *   the rest, and not yielded
 * @throws Error in one line when it is missing, or its size is another; WrongContent when its
 *   digest is
 */
export async function* readBlob(
  source: BlobSource,
  descriptor: Descriptor,
  what: string,
  kept?: Content,
): AsyncGenerator<Uint8Array, void, undefined> {
  const digest = checkDigest(descriptor, what);
  const hash = hashFor(digest);
  let from = 0;
  for await (const chunk of kept?.read() ?? []) {
    hash.update(chunk);
    from += chunk.byteLength;
  }
  for await (const chunk of contents(source, descriptor, what, from)) {
    hash.update(chunk);
    yield chunk;
  }
  const found = hash.digest('hex');
  if (found !== digest.encoded)
    throw new WrongContent(
      `${name(what, descriptor)}: the content in ${source.name} is not what this digest names, but ${digest.algorithm}:${found}`,
    );
}

/**
 * Reads a small blob whole: a manifest, an index, or a configuration.
 *
 * @throws Error as `readBlob` does, and for one of more than 8 MiB
 */
export async function readDocument(
  source: BlobSource,
  descriptor: Descriptor,
  what: string,
): Promise<Buffer> {
  if (descriptor.size > DOCUMENT_LIMIT)
    throw new Error(
      `${name(what, descriptor)}: ${descriptor.size} bytes are too many (at most 8 MiB)`,
    );
  const chunks: Uint8Array[] = [];
  for await (const chunk of readBlob(source, descriptor, what)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * Reads a file of the layout that no descriptor names: `oci-layout` or `index.json`.
 *
 * @returns undefined where there is none
 */
export async function readNamed(storage: Storage, file: string): Promise<Buffer | undefined> {
  const extent = storage.open(file);
  if (extent === undefined) return undefined;
  try {
    if (extent.size > DOCUMENT_LIMIT)
      throw new Error(
        `${storage.path}: ${file}: ${extent.size} bytes are too many (at most 8 MiB)`,
      );
    const chunks: Uint8Array[] = [];
    for await (const chunk of readExtent(extent)) chunks.push(chunk);
    return Buffer.concat(chunks);
  } finally {
    release(extent);
  }
}

async function* contents(
  source: BlobSource,
  descriptor: Descriptor,
  what: string,
  from: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (descriptor.data !== undefined) {
    yield embedded(descriptor, what).subarray(from);
    return;
  }
  try {
    const content = await source.open(descriptor);
    if (content === undefined) throw new Error(`is missing in ${source.name}`);
    try {
      if (content.size !== undefined) checkSize(content.size, descriptor.size);
      yield* limited(content.read(from), descriptor.size, from);
    } finally {
      content.release();
    }
  } catch (error) {
    throw new Error(`${name(what, descriptor)}: ${(error as Error).message}`, { cause: error });
  }
}

/** Exactly so many bytes: a source that does not say its size may send any number. */
async function* limited(
  chunks: AsyncIterable<Uint8Array>,
  size: number,
  from: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let seen = from;
  for await (const chunk of chunks) {
    seen += chunk.byteLength;
    if (seen > size) throw new Error(`is longer than the ${size} bytes that its descriptor says`);
    yield chunk;
  }
  if (seen < size) throw new Error(`ends after ${seen} of ${size} bytes: it was truncated`);
}

/** The content that the descriptor itself carries (image-spec, descriptor.md: Embedded Content). */
function embedded(descriptor: Descriptor, what: string): Buffer {
  const bytes = Buffer.from(descriptor.data as string, 'base64');
  if (bytes.toString('base64') !== descriptor.data)
    throw new Error(`${name(what, descriptor)}: the descriptor's "data" is not base64`);
  try {
    checkSize(bytes.byteLength, descriptor.size);
  } catch (error) {
    throw new Error(`${name(what, descriptor)}: "data": ${(error as Error).message}`);
  }
  return bytes;
}

function checkSize(actual: number, expected: number): void {
  if (actual !== expected)
    throw new Error(`is ${actual} bytes long, but its descriptor says ${expected}`);
}

function checkDigest(descriptor: Descriptor, what: string): ReturnType<typeof parseDigest> {
  try {
    return parseDigest(descriptor.digest);
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  }
}

function name(what: string, descriptor: Descriptor): string {
  return `${what} (${descriptor.digest})`;
}
