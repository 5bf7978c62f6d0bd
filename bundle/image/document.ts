import { createHash } from 'node:crypto';
import type { Descriptor } from '../../schemas/image.ts';

/** A manifest or an index, with its bytes as they are to be written. */
export interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

/** A document that is new: its digest is computed here. */
export function documentOf(value: object, mediaType: string): Document {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as const;
  return { bytes, descriptor: { mediaType, digest, size: bytes.byteLength } };
}
