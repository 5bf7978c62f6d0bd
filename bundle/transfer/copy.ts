import type { Descriptor, Platform } from '../../schemas/image.ts';
import type { Document } from '../image/document.ts';
import { isManifestType } from '../image/media-types.ts';
import { readBlob, WrongContent } from '../image/read-blob.ts';
import { chooseManifest, findImage } from '../image/resolve.ts';
import type { Content, ImageDestination, ImageSource } from '../image/source.ts';
import type { SizeLimit } from '../layers/size-limit.ts';
import { type BlobCopy, takeInventory } from './inventory.ts';

/** Blobs under way at once: more than one, for each waits for the other side from time to time. */
const PARALLEL = 4;

/** Hears what happens to the blobs of an image. */
export interface CopyObserver {
  /** All that there is to do, before anything is done. */
  begin(blobs: readonly CopiedBlob[]): void;
  /** So much of it has been read by now; once more with all of it at the end. @param bytes from its start */
  progress(blob: CopiedBlob, bytes: number): void;
  /** @param how whether it was there already */
  done(blob: CopiedBlob, how: 'copied' | 'present'): void;
}

/** A configuration or a layer. */
export interface CopiedBlob {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  /** For people: `layer 2 of 5`. */
  readonly what: string;
}

/** How an image is copied. */
export interface CopyOptions {
  /** Which images of an index are copied: all, or one; this machine's unless told. */
  readonly platforms?: 'all' | Platform | undefined;
  /** `oci` converts Docker's formats, which changes digests; else all stays as it is. */
  readonly format?: 'oci' | undefined;
  /** Whether what refers to the image is copied, too: signatures, lists of its software. */
  readonly referrers?: boolean;
  /** What its blobs may come to; anything where undefined. */
  readonly limit?: SizeLimit | undefined;
  readonly observer?: CopyObserver;
  readonly signal?: AbortSignal | undefined;
}

/** What was copied. */
export interface CopyResult {
  /** What the destination has now. */
  readonly descriptor: Descriptor;
  /** The digest of the same in the source: another one where it was converted. */
  readonly original: string;
  readonly blobs: readonly CopiedBlob[];
}

/**
 * Copies an image from anywhere to anywhere: blobs first, several at once, then manifests, each
 * after what it lists, and its name last. Every byte is verified on its way.
 *
 * @throws Error in one line; the destination has no new image then
 */
export async function copyImage(
  source: ImageSource,
  destination: ImageDestination,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const root = await chooseRoot(source, options.platforms);
  if (destination.single && !('digest' in root && isManifestType(root.mediaType)))
    throw new Error(
      `${destination.name} holds an image for one platform only: choose it with --platform, or copy to another place`,
    );
  const { referrers = false, format } = options;
  checkReferrers(destination, options);
  const inventory = await takeInventory(source, root, format === 'oci', referrers);
  const { documents, blobs, root: descriptor } = inventory;
  const copies = blobs.map((blob) => ({ ...blob, digest: blob.to.digest, size: blob.to.size }));
  checkSize(source, copies, options.limit);
  options.observer?.begin(copies);
  await inParallel(copies, destination.sequential ? 1 : PARALLEL, (blob) =>
    copyBlob(source, destination, blob, options),
  );
  for (const document of documents) {
    options.signal?.throwIfAborted();
    await copyDocument(destination, document);
  }
  for (const referrer of inventory.referrers) await destination.attach?.(referrer);
  await destination.finish(descriptor);
  const original = 'digest' in root ? root.digest : descriptor.digest;
  return { descriptor, original, blobs: copies };
}

/** A blob is never read further than it says it is long, so this holds for what comes, too. */
function checkSize(
  { name }: ImageSource,
  blobs: readonly CopiedBlob[],
  limit: SizeLimit | undefined,
): void {
  try {
    limit?.announced(blobs.reduce((sum, { size }) => sum + size, 0));
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws Error in one line where nothing could refer to the image after the copy */
function checkReferrers(
  { name, attach }: ImageDestination,
  { referrers, format }: CopyOptions,
): void {
  if (!referrers) return;
  if (attach === undefined)
    throw new Error(
      `${name}: what refers to an image is not kept here: registries and layouts (oci:DIR:TAG) keep it`,
    );
  if (format !== undefined)
    throw new Error(
      `--referrers and --format ${format}: what refers to an image means the digest that it has, which changes then`,
    );
}

async function chooseRoot(
  source: ImageSource,
  platforms: CopyOptions['platforms'],
): Promise<ImageSource['root']> {
  if (platforms === 'all') return source.root;
  const chosen = await chooseManifest(source, platforms);
  // A single image is copied as it is, unless somebody said for what it should be.
  if (platforms !== undefined && chosen === source.root) await findImage(source, platforms);
  return chosen;
}

async function copyBlob(
  source: ImageSource,
  destination: ImageDestination,
  blob: BlobCopy & CopiedBlob,
  { observer, signal }: CopyOptions,
): Promise<void> {
  signal?.throwIfAborted();
  const { from, to, what, size } = blob;
  if (await destination.has(to)) {
    observer?.done(blob, 'present');
    return;
  }
  const content = (kept?: Content) => ({
    async *[Symbol.asyncIterator]() {
      let bytes = kept?.size ?? 0;
      for await (const chunk of readBlob(source, from, what, kept)) {
        signal?.throwIfAborted();
        bytes += chunk.byteLength;
        observer?.progress(blob, bytes);
        yield chunk;
      }
    },
  });
  const kept = await destination.partial?.(to);
  try {
    await destination.write(to, content(kept), kept?.size);
  } catch (error) {
    // It may be what was kept that was wrong, and is gone now.
    if (kept === undefined || !(error instanceof WrongContent)) throw error;
    await destination.write(to, content());
  } finally {
    kept?.release();
  }
  observer?.progress(blob, size);
  observer?.done(blob, 'copied');
}

async function copyDocument(
  destination: ImageDestination,
  { descriptor, bytes }: Document,
): Promise<void> {
  if (await destination.has(descriptor)) return;
  const content = {
    async *[Symbol.asyncIterator]() {
      yield bytes;
    },
  };
  await destination.write(descriptor, content);
}

/** Works on several at once; when one fails, no other is begun. */
async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      try {
        await work(item);
      } catch (error) {
        waiting.length = 0;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
}
