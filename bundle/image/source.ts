import type { Descriptor, Index } from '../../schemas/image.ts';

/**
 * Content that was found and can be read. It is not verified: `readBlob` does that, and is the
 * one way to read a blob.
 */
export interface Content {
  /** Bytes; undefined where only reading tells, as for a registry that does not say. */
  readonly size: number | undefined;
  /**
   * The bytes, in order, once.
   *
   * @param from the offset to begin at; 0 unless told
   * @throws Error without the blob's name, which `readBlob` adds
   */
  read(from?: number): AsyncIterable<Uint8Array>;
  /** Gives back what is held open; also after `read` ended early. */
  release(): void;
}

/** Where the blobs of images are: a layout's files, a registry's repository, the store. */
export interface BlobSource {
  /** How errors call it: as the user named it. */
  readonly name: string;
  /**
   * Finds what a descriptor names: a manifest or an index as well as any other blob.
   *
   * @returns undefined where there is none
   * @throws Error without the blob's name, which `readBlob` adds
   */
  open(descriptor: Descriptor): Promise<Content | undefined>;
  close(): void;
}

/** One image (or several, for different platforms) that a reference leads to. */
export interface ImageSource extends BlobSource {
  /** What the reference names: a manifest, an index, or an index that is not a blob itself. */
  readonly root: Descriptor | Index;
  /**
   * What refers to a manifest by its `subject`, such as signatures; absent where that is not known.
   *
   * @param digest the manifest's
   */
  referrers?(digest: string): Promise<readonly Descriptor[]>;
}

/** Where an image is written to. Calls come in the order of the members. */
export interface ImageDestination {
  /** How errors call it: as the user named it. */
  readonly name: string;
  /** Whether it takes one content after the other, in an order that tells in what it makes. */
  readonly sequential?: boolean;
  /** Whether it holds an image for one platform only, and no index. */
  readonly single?: boolean;
  /** Whether it has this content already, so that nobody need send it. */
  has(descriptor: Descriptor): Promise<boolean>;
  /**
   * What an earlier `write` of this content got before it was interrupted; absent in destinations
   * where nothing outlives that. It is held until `write`, which continues it, has ended.
   */
  partial?(descriptor: Descriptor): Promise<Content | undefined>;
  /**
   * Takes content. Blobs come before the manifest that lists them, manifests before their index.
   * Several may be under way at once.
   *
   * @param content throws at its end if it is not what the descriptor says: nothing may be
   *   kept under the descriptor's digest then. A destination that has to begin anew iterates
   *   it anew, unless it is a generator, which can be read once only
   * @param from how many bytes `partial` had, which the content follows; 0 unless told
   */
  write(descriptor: Descriptor, content: AsyncIterable<Uint8Array>, from?: number): Promise<void>;
  /**
   * Keeps a manifest that was written for what it refers to, without a name of its own; absent where
   * it would be lost.
   */
  attach?(referrer: Descriptor): Promise<void>;
  /** Gives the image its name, as the last step: until now nobody sees it. */
  finish(root: Descriptor): Promise<void>;
  /** Ends the work; without `finish` nothing is left of it but blobs that others may use. */
  close(): Promise<void>;
}
