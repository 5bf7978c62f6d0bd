import type { Descriptor } from '../../schemas/image.ts';
import { sha256 } from './digest.ts';

/** A manifest or an index, with its bytes as they are or are to be. */
export interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

/** A document that is new: its digest is computed here. */
export function documentOf(value: object, mediaType: string): Document {
  const bytes = Buffer.from(JSON.stringify(value));
  return { bytes, descriptor: { mediaType, digest: sha256(bytes), size: bytes.byteLength } };
}
