/** Something that is wrong with a store. */
export interface Problem {
  /**
   * `file`: one of the store's own. `blob`: content that is another. `image`: one that lacks
   * something. `layer`: unpacked, and changed since.
   */
  readonly kind: 'file' | 'blob' | 'image' | 'layer';
  /** A file's name, a digest, or an image's name or digest. */
  readonly what: string;
  readonly message: string;
  /** What a repair does about it; undefined where it can do nothing. */
  readonly remedy: string | undefined;
  /** What was done about it; undefined while it lasts. */
  readonly repaired: string | undefined;
}

/** @param repair whether the remedy was taken */
export function problemOf(
  kind: Problem['kind'],
  what: string,
  message: string,
  remedy: string | undefined,
  repair: boolean,
): Problem {
  return { kind, what, message, remedy, repaired: repair ? remedy : undefined };
}
