/**
 * Media types of images (image-spec, media-types.md). Docker's schema 2 types describe the same
 * documents and are taken as equals of the OCI ones (media-types.md: Compatibility Matrix).
 */

export const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];

export const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

const CONFIGS = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
];

/** Whether a descriptor with this type is of an image index, or of Docker's manifest list. */
export const isIndexType = (mediaType: string): boolean => INDEX_TYPES.includes(mediaType);
/** Whether it is of an image manifest. */
export const isManifestType = (mediaType: string): boolean => MANIFEST_TYPES.includes(mediaType);
/** Whether it is of the configuration of an image, and not of another artifact. */
export const isConfigType = (mediaType: string): boolean => CONFIGS.includes(mediaType);

/** Those that are written. */
export const OCI = {
  index: INDEX_TYPES[0] as string,
  manifest: MANIFEST_TYPES[0] as string,
  config: CONFIGS[0] as string,
} as const;

/** OCI's type for a layer of one of Docker's types, which have the same content; others as they are. */
export function ociLayerType(mediaType: string): string {
  const [, foreign, compression] =
    /^application\/vnd\.docker\.image\.rootfs\.(foreign\.)?diff\.tar(?:\.(gzip|zstd))?$/.exec(
      mediaType,
    ) ?? [];
  if (!mediaType.startsWith('application/vnd.docker.image.rootfs.')) return mediaType;
  const kind = foreign === undefined ? 'layer' : 'layer.nondistributable';
  return `application/vnd.oci.image.${kind}.v1.tar${compression === undefined ? '' : `+${compression}`}`;
}
