import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Descriptor, Digest, ImageConfig, Index, Platform } from '../../schemas/image.ts';

/** Writes OCI image layouts from plain objects, honest and malicious ones. */

export const MEDIA = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  tar: 'application/vnd.oci.image.layer.v1.tar',
  gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

const REF_NAME = 'org.opencontainers.image.ref.name';

export function digestOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** What an image is made of; all has a default. */
export interface ImageFields {
  /** Layers as tar archives, from the base upwards. */
  readonly layers?: readonly Buffer[];
  /** Stored as they are, not compressed. */
  readonly plain?: boolean;
  /** Merged into the configuration. */
  readonly config?: object;
  /** Merged into the manifest. */
  readonly manifest?: object;
}

export class LayoutBuilder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    mkdirSync(join(path, 'blobs'), { recursive: true });
  }

  /** Where a blob is kept. */
  file(digest: string): string {
    return join(this.path, 'blobs', ...digest.split(':'));
  }

  blob(
    mediaType: string,
    content: Uint8Array | object,
    algorithm: 'sha256' | 'sha512' = 'sha256',
  ): Descriptor {
    const bytes = content instanceof Uint8Array ? content : Buffer.from(JSON.stringify(content));
    const digest = digestOf(bytes, algorithm);
    mkdirSync(join(this.path, 'blobs', algorithm), { recursive: true });
    writeFileSync(this.file(digest), bytes);
    return { mediaType, digest, size: bytes.byteLength };
  }

  /** Adds an image. @returns the descriptor of its manifest */
  image({ layers = [], plain = false, config = {}, manifest = {} }: ImageFields = {}): Descriptor {
    const content: ImageConfig = {
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) },
      ...config,
    };
    return this.blob(MEDIA.manifest, {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: this.blob(MEDIA.config, content),
      layers: layers.map((layer) =>
        plain ? this.blob(MEDIA.tar, layer) : this.blob(MEDIA.gzip, gzipSync(layer)),
      ),
      ...manifest,
    });
  }

  /** Adds a nested index. @returns its descriptor */
  index(...manifests: readonly Descriptor[]): Descriptor {
    return this.blob(MEDIA.index, { schemaVersion: 2, mediaType: MEDIA.index, manifests });
  }

  /** Writes `oci-layout` and `index.json`. @returns the layout's path */
  finish(...manifests: readonly Descriptor[]): string {
    const index: Index = { schemaVersion: 2, mediaType: MEDIA.index, manifests };
    writeFileSync(join(this.path, 'index.json'), JSON.stringify(index));
    writeFileSync(join(this.path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    return this.path;
  }
}

/** A descriptor with a tag. */
export function tagged(descriptor: Descriptor, tag: string): Descriptor {
  return { ...descriptor, annotations: { [REF_NAME]: tag } };
}

/** A descriptor that says for what its image is: `os/architecture[/variant]`. */
export function forPlatform(descriptor: Descriptor, platform: string): Descriptor {
  const [os = '', architecture = '', variant] = platform.split('/');
  const fields: Platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  return { ...descriptor, platform: fields };
}

/** The digests of a layout's blobs, without their algorithm. */
export function blobsOf(path: string): string[] {
  return readdirSync(join(path, 'blobs/sha256')).sort();
}
