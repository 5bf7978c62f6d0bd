import type { Descriptor } from '../../schemas/image.ts';
import type { Image } from '../image/resolve.ts';
import type { BlobSource } from '../image/source.ts';
import { entriesOf, layerOf } from './entries.ts';
import { type Cause, entryDifferences } from './entry-differences.ts';
import { type JsonDifference, jsonDifferences } from './json-difference.ts';

/** An image, and where its blobs are. */
export interface Side {
  readonly source: BlobSource;
  readonly image: Image;
}

/** Why two layers of one number are not the same. */
export interface LayerDifference {
  /** From the base upwards, from 1. */
  readonly layer: number;
  /** Digests; undefined where an image has no such layer. */
  readonly first: string | undefined;
  readonly second: string | undefined;
  /** In one line. */
  readonly message: string;
  /** Where their entries differ. */
  readonly causes: readonly Cause[];
}

/** Why two images are not the same. */
export interface Differences {
  readonly same: boolean;
  /** Of the manifests, but for what the other two tell. */
  readonly manifest: readonly JsonDifference[];
  readonly config: readonly JsonDifference[];
  readonly layers: readonly LayerDifference[];
  /** What is left to be said where no value differs. */
  readonly notes: readonly string[];
}

/**
 * Finds out why two images have different digests.
 *
 * @param most how many examples to give of each cause
 * @throws Error in one line when one of them can't be read
 */
export async function differences(first: Side, second: Side, most: number): Promise<Differences> {
  const [one, other] = [first.image, second.image];
  if (one.descriptor.digest === other.descriptor.digest)
    return { same: true, manifest: [], config: [], layers: [], notes: [] };
  const manifest = jsonDifferences(manifestRest(one), manifestRest(other));
  const config = jsonDifferences(configRest(one), configRest(other));
  const layers: LayerDifference[] = [];
  const count = Math.max(one.manifest.layers.length, other.manifest.layers.length);
  for (let index = 0; index < count; index++) {
    const found = await layerDifference(first, second, index, most);
    if (found !== undefined) layers.push(found);
  }
  const notes: string[] = [];
  const sameConfig = one.manifest.config.digest === other.manifest.config.digest;
  if (!sameConfig && config.length === 0 && sameDiffIds(one, other))
    notes.push('the configurations have the same values, written in another way');
  if (sameConfig && manifest.length === 0 && layers.length === 0)
    notes.push('the manifests have the same values, written in another way');
  return { same: false, manifest, config, layers, notes };
}

function manifestRest({ manifest }: Image): object {
  const { layers: _, config, ...rest } = manifest;
  const { digest: _digest, size: _size, ...kind } = config;
  return { ...rest, config: kind };
}

/** Without what follows from the layers. */
function configRest({ config }: Image): object {
  return { ...config, rootfs: { ...config.rootfs, diff_ids: [] } };
}

function sameDiffIds(one: Image, other: Image): boolean {
  return one.config.rootfs.diff_ids.join() === other.config.rootfs.diff_ids.join();
}

async function layerDifference(
  first: Side,
  second: Side,
  index: number,
  most: number,
): Promise<LayerDifference | undefined> {
  const [one, other] = [first.image.manifest.layers[index], second.image.manifest.layers[index]];
  const [diffId, otherId] = [diffIdOf(first, index), diffIdOf(second, index)];
  if (one?.digest === other?.digest) return undefined;
  const found = (message: string, causes: readonly Cause[] = []): LayerDifference => ({
    layer: index + 1,
    first: one?.digest,
    second: other?.digest,
    message,
    causes,
  });
  if (one === undefined) return found('only the second has it');
  if (other === undefined) return found('only the first has it');
  if (diffId === otherId) return found(await compressionDifference(first, second, index));
  const elsewhere = second.image.config.rootfs.diff_ids.indexOf(diffId as Descriptor['digest']);
  if (elsewhere !== -1) return found(`it is layer ${elsewhere + 1} of the second`);
  const entries = ({ source, image }: Side) => entriesOf(layerOf(source, image, index), true);
  const causes = entryDifferences(await entries(first), await entries(second), most);
  return causes.length > 0
    ? found('their entries differ', causes)
    : found('the same entries, whose headers are written in another way');
}

function diffIdOf({ image }: Side, index: number): string | undefined {
  return image.config.rootfs.diff_ids[index];
}

/** The same archive in another packing. */
async function compressionDifference(first: Side, second: Side, index: number): Promise<string> {
  const describe = async ({ source, image }: Side) =>
    compressionName(await headOf(source, image.manifest.layers[index] as Descriptor));
  const [one, other] = [await describe(first), await describe(second)];
  return one === other
    ? `the same archive, compressed with another program or level (both are ${one})`
    : `the same archive, compressed in another way: ${one} and ${other}`;
}

/** The first bytes of a blob, which are not verified: they only name the packing. */
async function headOf(source: BlobSource, descriptor: Descriptor): Promise<Buffer> {
  const content = await source.open(descriptor);
  try {
    for await (const chunk of content?.read() ?? []) return Buffer.from(chunk.subarray(0, 16));
    return Buffer.alloc(0);
  } finally {
    content?.release();
  }
}

/** RFC 1952, RFC 8878 */
function compressionName(head: Buffer): string {
  if (head.length >= 10 && head.readUInt16BE(0) === 0x1f8b) {
    const time = head.readUInt32LE(4);
    const flags = head.readUInt8(3);
    const details = [
      ...(time === 0 ? [] : [`made at ${new Date(time * 1000).toISOString().slice(0, 19)}Z`]),
      ...(flags & 0x08 ? ['with a file name'] : []),
      `extra flags ${head.readUInt8(8)}`,
      `system ${head.readUInt8(9)}`,
    ];
    return `gzip (${details.join(', ')})`;
  }
  return head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528 ? 'zstd' : 'not compressed';
}
