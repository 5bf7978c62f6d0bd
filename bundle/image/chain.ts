import type { Digest } from '../../schemas/image.ts';
import { sha256 } from './digest.ts';

/**
 * Names what the layers of an image make together (image-spec, config.md: Layer ChainID).
 *
 * @param diffIds digests of the uncompressed layers, from the base upwards
 * @returns of each layer the name of it applied to all that are below
 */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : sha256(`${below} ${diffId}`));
  }
  return chain;
}
