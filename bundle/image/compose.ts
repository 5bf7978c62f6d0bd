import type {
  Annotations,
  Descriptor,
  ImageConfig,
  ImageExecution,
  ImageHistory,
  Manifest,
  Platform,
} from '../../schemas/image.ts';
import type { WrittenLayer } from '../layers/write/layer.ts';
import { documentOf } from './document.ts';
import { OCI, ociLayerType } from './media-types.ts';
import { memoryContent } from './memory.ts';
import type { Image } from './resolve.ts';
import type { BlobSource, Content, ImageSource } from './source.ts';
import { borrowed } from './storage.ts';

/** What is new in an image that is made of another. */
export interface Edit {
  /** What is put on top; absent where only the configuration changes. */
  readonly layer?: WrittenLayer | undefined;
  /** The step that is added to the history; absent where it shall stay as it is. */
  readonly history?: ImageHistory | undefined;
  /** RFC 3339. */
  readonly created: string;
  readonly author?: string | undefined;
  readonly platform?: Platform | undefined;
  /** Changes the annotations of the manifest. @returns those of the new one */
  readonly annotations?: ((base: Annotations) => Annotations) | undefined;
  /** @returns what the new image's containers run */
  execution(config: ImageExecution): ImageExecution;
}

/** A new image, which can be copied to where it shall be. */
export interface ComposedImage extends ImageSource {
  /** Of the manifest. */
  readonly root: Descriptor;
  readonly config: Descriptor;
}

/**
 * Makes an image of another one, or of nothing: a new configuration and a new manifest, and
 * perhaps one more layer. Fields that we do not know are kept. It is an OCI image, whatever the
 * other one is.
 *
 * @param base what it is made of, and where its blobs are
 * @param name how errors call the new image
 * @returns where the new image and all that belongs to it can be read; closing it closes neither
 *   the base nor the layer
 */
export function composeImage(
  base: { readonly image: Image; readonly source: BlobSource } | undefined,
  edit: Edit,
  name: string,
): ComposedImage {
  const image = base?.image;
  const config = documentOf(editConfig(image, edit), OCI.config);
  const { layer } = edit;
  const inherited = image?.manifest.annotations ?? {};
  const annotations = edit.annotations?.(inherited) ?? inherited;
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: OCI.manifest,
    config: config.descriptor,
    layers: [
      ...(image?.manifest.layers ?? []).map((one) => ({
        ...one,
        mediaType: ociLayerType(one.mediaType),
      })),
      ...(layer === undefined ? [] : [layer.descriptor]),
    ],
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const root = documentOf(manifest, OCI.manifest);
  const own = new Map<string, () => Content>(
    [config, root].map(({ descriptor, bytes }) => [descriptor.digest, () => memoryContent(bytes)]),
  );
  if (layer !== undefined)
    own.set(layer.descriptor.digest, () => borrowed(layer.fd, layer.descriptor.size));
  return {
    name,
    root: root.descriptor,
    config: config.descriptor,
    open: async (descriptor) =>
      own.get(descriptor.digest)?.() ?? (await base?.source.open(descriptor)),
    close() {},
  };
}

function editConfig(image: Image | undefined, edit: Edit): ImageConfig {
  const base = image?.config;
  const { layer, created, author, history } = edit;
  const platform = edit.platform ?? base;
  if (platform === undefined) throw new Error('an image without a base needs a platform');
  const execution = edit.execution(base?.config ?? {});
  const steps = completeHistory(image);
  return {
    ...base,
    created,
    ...(author === undefined ? {} : { author }),
    ...platformOf(platform),
    config: withoutNulls(execution),
    rootfs: {
      type: 'layers',
      diff_ids: [...(base?.rootfs.diff_ids ?? []), ...(layer === undefined ? [] : [layer.diffId])],
    },
    ...(history === undefined ? {} : { history: [...steps, history] }),
  };
}

function platformOf({ architecture, os, variant }: Platform): Platform {
  return { architecture, os, ...(variant === undefined ? {} : { variant }) };
}

/**
 * A history that tells of every layer: a line for the next one would be taken for that of a layer
 * that has none.
 */
function completeHistory(image: Image | undefined): ImageHistory[] {
  const lines = [...(image?.config.history ?? [])];
  const told = lines.filter(({ empty_layer }) => !empty_layer).length;
  const untold = Math.max(0, (image?.manifest.layers.length ?? 0) - told);
  return [...lines, ...Array.from({ length: untold }, () => ({}))];
}

/** Builders write null for what is empty, and mean the same as by leaving it out. */
function withoutNulls(execution: ImageExecution): ImageExecution {
  return Object.fromEntries(Object.entries(execution).filter(([, value]) => value !== null));
}
