import type { Descriptor, Digest } from '../../schemas/image.ts';
import { parseDigest } from './digest.ts';
import { OCI } from './media-types.ts';
import { readDocument } from './read-blob.ts';
import type { BlobSource } from './source.ts';

/**
 * Describes a manifest of which only the digest is known: places of blobs know their sizes, and
 * manifests their types.
 *
 * @throws Error in one line when it is not there, or is not what the digest says
 */
export async function manifestByDigest(source: BlobSource, digest: string): Promise<Descriptor> {
  const { algorithm, encoded } = parseDigest(digest);
  const descriptor = {
    mediaType: OCI.manifest,
    digest: `${algorithm}:${encoded}` as Digest,
    size: 0,
  };
  const content = await source.open(descriptor);
  content?.release();
  if (content?.size === undefined)
    throw new Error(`image manifest (${digest}): is missing in ${source.name}`);
  const found = { ...descriptor, size: content.size };
  const bytes = await readDocument(source, found, 'image manifest');
  const { mediaType = OCI.manifest } = JSON.parse(bytes.toString()) as { mediaType?: string };
  return { ...found, mediaType };
}
