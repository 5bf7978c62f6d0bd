import { formatPlatform, hostPlatform, platformDistance } from '../image/platform.ts';
import type { Image } from '../image/resolve.ts';

/** What the making of a bundle is about. */
export interface UnpackPlan {
  /** Digest of the manifest. */
  readonly manifest: string;
  /** Digest of the configuration, which is the image's ID. */
  readonly config: string;
  readonly platform: string;
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
  /** Bytes of all layers, compressed. */
  readonly bytes: number;
}

/** Hears how the making of a bundle goes. */
export interface UnpackObserver {
  /** The image is known, nothing is written yet. */
  begin(plan: UnpackPlan): void;
  /** Layer number `index`, from 0, is being read. */
  layer(index: number): void;
  /** So many bytes of all layers were read so far. */
  progress(bytes: number): void;
  /** Something that may surprise, in one line. */
  warning(text: string): void;
}

/** What is going to be done with an image. */
export function planOf({ descriptor, manifest, config }: Image): UnpackPlan {
  const layers = manifest.layers.map(({ digest, size }) => ({ digest, size }));
  return {
    manifest: descriptor.digest,
    config: manifest.config.digest,
    platform: formatPlatform(config),
    layers,
    bytes: layers.reduce((sum, { size }) => sum + size, 0),
  };
}

/**
 * Tells of an image that is not for this machine: it can be unpacked, and may run through an emulator.
 *
 * @param unasked whether nobody has asked for a platform
 */
export function warnOfForeign({ config }: Image, unasked: boolean, observer: UnpackObserver): void {
  const host = hostPlatform();
  if (unasked && platformDistance(host, config) === undefined)
    observer.warning(
      `the image is for ${formatPlatform(config)}, this machine is ${formatPlatform(host)}`,
    );
}
