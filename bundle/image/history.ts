import type { Image } from './resolve.ts';

/** A step by which an image was made. */
export interface HistoryLine {
  /** RFC 3339. */
  readonly created?: string;
  readonly createdBy?: string;
  readonly author?: string;
  readonly comment?: string;
  /** What it added; absent where it changed the configuration only. */
  readonly layer?: {
    /** From the base upwards, from 1. */
    readonly number: number;
    readonly digest: string;
    readonly diffId: string;
    readonly mediaType: string;
    /** Bytes of the blob. */
    readonly size: number;
  };
}

/**
 * Brings an image's history and its layers together (image-spec, config.md: history). Builders
 * don't always agree with themselves: a layer that no line tells of gets one, after the others.
 *
 * @returns the steps, the oldest first
 */
export function historyOf({ manifest, config }: Image): HistoryLine[] {
  const layers = manifest.layers.map(({ digest, mediaType, size }, index) => ({
    number: index + 1,
    digest,
    diffId: config.rootfs.diff_ids[index] ?? '',
    mediaType,
    size,
  }));
  const lines = (config.history ?? []).map(
    ({ created, created_by: createdBy, author, comment, empty_layer: empty }): HistoryLine => {
      const layer = empty ? undefined : layers.shift();
      return {
        ...(created === undefined ? {} : { created }),
        ...(createdBy === undefined ? {} : { createdBy }),
        ...(author === undefined ? {} : { author }),
        ...(comment === undefined ? {} : { comment }),
        ...(layer === undefined ? {} : { layer }),
      };
    },
  );
  return [...lines, ...layers.map((layer) => ({ layer }))];
}
