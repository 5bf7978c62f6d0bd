import type { Descriptor, Index, Manifest } from '../../schemas/image.ts';
import { type Document, documentOf } from '../image/document.ts';
import {
  isConfigType,
  isIndexType,
  isManifestType,
  OCI,
  ociLayerType,
} from '../image/media-types.ts';

/**
 * A manifest or an index as OCI writes it. Configurations and layers are the same bytes in both
 * formats; only their types have other names.
 *
 * @param value what the document says; its manifests are converted already
 * @returns the document itself where there is nothing to convert
 */
export function toOci(document: Document, value: Manifest | Index): Document {
  const { mediaType } = document.descriptor;
  const type = ociType(mediaType);
  const converted = { ...value, mediaType: type, ...('manifests' in value ? {} : parts(value)) };
  const written = JSON.stringify(converted);
  if (type === mediaType && written === JSON.stringify(JSON.parse(document.bytes.toString())))
    return document;
  const { platform, annotations } = document.descriptor;
  const { bytes, descriptor } = documentOf(converted, type);
  return {
    bytes,
    descriptor: {
      ...descriptor,
      ...(annotations === undefined ? {} : { annotations }),
      ...(platform === undefined ? {} : { platform }),
    },
  };
}

function parts({ config, layers }: Manifest): Pick<Manifest, 'config' | 'layers'> {
  return { config: renamed(config), layers: layers.map(renamed) };
}

function renamed(descriptor: Descriptor): Descriptor {
  return { ...descriptor, mediaType: ociType(descriptor.mediaType) };
}

/** What OCI calls a document of one of Docker's types (image-spec, media-types.md). */
function ociType(mediaType: string): string {
  if (isIndexType(mediaType)) return OCI.index;
  if (isManifestType(mediaType)) return OCI.manifest;
  return isConfigType(mediaType) ? OCI.config : ociLayerType(mediaType);
}
