import { createHash, type Hash } from 'node:crypto';
import type { Digest } from '../../schemas/image.ts';

/** The two halves of a digest that can be verified. */
export interface ParsedDigest {
  readonly algorithm: 'sha256' | 'sha512';
  /** Lower-case hexadecimal. */
  readonly encoded: string;
}

const GRAMMAR = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;
const ENCODED = { sha256: /^[a-f0-9]{64}$/, sha512: /^[a-f0-9]{128}$/ } as const;

/**
 * Takes a digest apart (image-spec, descriptor.md: Digests). What comes back is safe as the name
 * of a file.
 *
 * @throws Error for text that is no digest, and for an algorithm that cannot be verified
 */
export function parseDigest(text: string): ParsedDigest {
  if (!GRAMMAR.test(text)) throw new Error(`${JSON.stringify(text)} is not a digest`);
  const colon = text.indexOf(':');
  const algorithm = text.slice(0, colon);
  const encoded = text.slice(colon + 1);
  if (algorithm !== 'sha256' && algorithm !== 'sha512')
    throw new Error(`digest ${text}: only sha256 and sha512 can be verified, not ${algorithm}`);
  if (!ENCODED[algorithm].test(encoded))
    throw new Error(
      `digest ${text}: ${algorithm} takes ${algorithm === 'sha256' ? 64 : 128} lower-case hexadecimal digits`,
    );
  return { algorithm, encoded };
}

/** A hash that is told the digest it must come to. */
export function hashFor(digest: ParsedDigest): Hash {
  return createHash(digest.algorithm);
}

/** The digest of bytes, or of a text in UTF-8, by the algorithm that all take. */
export function sha256(content: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
