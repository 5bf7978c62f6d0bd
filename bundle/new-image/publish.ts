import type { Digest, ImageExecution, ImageHistory } from '../../schemas/image.ts';
import { applyInstructions } from '../config/instructions.ts';
import type { ComposedImage, Edit } from '../image/compose.ts';
import { creationTime } from '../image/epoch.ts';
import type { ImageDestination } from '../image/source.ts';
import type { Packing } from '../layers/write/compress.ts';
import { copyImage } from '../transfer/copy.ts';

/** What people say of an image that they make. */
export interface Remarks {
  readonly author?: string | undefined;
  /** A comment on the step in the image's history. */
  readonly message?: string | undefined;
  /** Instructions of Dockerfiles, see `applyInstructions`. */
  readonly changes: readonly string[];
}

/** How an image is made. */
export interface MakeOptions extends Remarks {
  readonly packing: Packing;
  /** Stops the work, which then fails with the signal's reason. */
  readonly signal: AbortSignal;
  /** Hears how many bytes of the new layer's archive there are. */
  onProgress(bytes: number): void;
  onWarning(line: string): void;
}

/** An image that was made. */
export interface NewImage {
  readonly manifest: Digest;
  /** Digest of the configuration, which is the image's ID. */
  readonly config: Digest;
}

/**
 * What remarks make of an image's configuration and history.
 *
 * @param command that makes the image, with the arguments that say how
 * @param empty whether the image gets no layer by it
 * @throws Error in one line for instructions that are not understood
 */
export function editBy(remarks: Remarks, command: string, empty: boolean): Edit {
  const { author, message, changes } = remarks;
  const created = creationTime();
  const words = changes.map((change) => ` --change ${JSON.stringify(change)}`);
  const history: ImageHistory = {
    created,
    created_by: `scow-bundle ${command}${words.join('')}`,
    ...(author === undefined ? {} : { author }),
    ...(message === undefined ? {} : { comment: message }),
    ...(empty ? { empty_layer: true } : {}),
  };
  const execution = (config: ImageExecution) => applyInstructions(config, changes, '--change');
  return { history, created, author, execution };
}

/** What `writeLayer` calls meanwhile. */
export function ticking({ signal, onProgress }: MakeOptions): (bytes: number) => void {
  return (bytes) => {
    signal.throwIfAborted();
    onProgress(bytes);
  };
}

/** Puts a new image, and what of its base is not there yet, where it shall be. */
export async function publish(
  image: ComposedImage,
  destination: ImageDestination,
  signal: AbortSignal,
): Promise<NewImage> {
  await copyImage(image, destination, { platforms: 'all', signal });
  return { manifest: image.root.digest, config: image.config.digest };
}
