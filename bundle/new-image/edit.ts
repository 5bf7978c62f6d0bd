import type { Platform } from '../../schemas/image.ts';
import { applyEdits, type Edits, editAnnotations } from '../config/edits.ts';
import { composeImage } from '../image/compose.ts';
import { isIndexType } from '../image/media-types.ts';
import { formatPlatform } from '../image/platform.ts';
import { resolveImage } from '../image/resolve.ts';
import type { ImageDestination, ImageSource } from '../image/source.ts';
import { editBy, type NewImage, publish, type Remarks } from './publish.ts';

/** How an image's configuration is to be changed. */
export interface EditOptions extends Remarks {
  readonly edits: Edits;
  /** Which image to take where there are several. */
  readonly platform: Platform | undefined;
  /** What the new image shall be said to be for; fields that are absent stay as they are. */
  readonly becomes: Partial<Platform>;
  /** RFC 3339; the present where undefined. */
  readonly created: string | undefined;
  /** Whether the history tells of it. */
  readonly history: boolean;
  readonly signal: AbortSignal;
  onWarning(line: string): void;
}

/**
 * Makes an image that differs from another one only in its configuration and its annotations.
 *
 * @throws Error in one line for values that make no sense, or where nothing can be written
 */
export async function editImage(
  source: ImageSource,
  destination: ImageDestination,
  options: EditOptions,
): Promise<NewImage> {
  const { edits, platform, becomes } = options;
  if (!isEdit(options))
    throw new Error('nothing is to be changed: give a flag such as --env, or --change');
  const image = await resolveImage(source, platform);
  const several = 'manifests' in source.root || isIndexType(source.root.mediaType);
  if (several)
    options.onWarning(
      `${source.name} is for several platforms: the new image is for ${formatPlatform(image.config)} only`,
    );
  const edit = editBy(options, 'config', true);
  const composed = composeImage(
    { image, source },
    {
      ...edit,
      history: options.history ? edit.history : undefined,
      created: options.created ?? edit.created,
      platform: { ...image.config, ...becomes },
      annotations: (base) => editAnnotations(base, edits),
      execution: (config) => edit.execution(applyEdits(config, edits)),
    },
    destination.name,
  );
  return publish(composed, destination, options.signal);
}

/** Whether anything is to be changed: a line of the history is something, and so is one platform. */
function isEdit(options: EditOptions): boolean {
  const { edits, becomes, changes, author, message, created, platform } = options;
  const given = [...Object.values(edits), ...Object.values(becomes), changes];
  return (
    given.some((value) => value !== undefined && value.length > 0) ||
    [author, message, created, platform].some((value) => value !== undefined)
  );
}
