import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

const MEDIA_TYPE = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
};

/** A fixed time, so that two builds make the same image. */
const CREATED = new Date('2026-01-01T00:00:00Z');

/**
 * Makes an OCI image layout (image-spec, image-layout.md) with one image of one layer.
 *
 * @param {string} folder the layout, which does not exist yet
 * @param {{ tag: string, path: string, program: Uint8Array }} image the name of the image, and
 *   the one file that it consists of: its absolute path and its content
 */
export async function writeLayout(folder, { tag, path, program }) {
  const layer = await makeLayer(path, program);
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  const config = {
    created: CREATED.toISOString(),
    architecture: 'amd64',
    os: 'linux',
    config: { Entrypoint: [path], Env: ['PATH=/'], WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
    history: [{ created: CREATED.toISOString(), created_by: 'npm run demo' }],
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config: writeBlob(folder, MEDIA_TYPE.config, JSON.stringify(config)),
    layers: [writeBlob(folder, MEDIA_TYPE.layer, gzipSync(layer))],
  };
  const descriptor = {
    ...writeBlob(folder, MEDIA_TYPE.manifest, JSON.stringify(manifest)),
    annotations: { 'org.opencontainers.image.ref.name': tag },
  };
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [descriptor] };
  writeFileSync(join(folder, 'index.json'), JSON.stringify(index));
  writeFileSync(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
}

/** @returns {Promise<Buffer>} a tar archive of one executable file */
async function makeLayer(path, content) {
  const archive = pack();
  const entry = {
    name: path.slice(1),
    mode: 0o755,
    mtime: CREATED,
    type: /** @type {const} */ ('file'),
  };
  archive.entry(entry, Buffer.from(content));
  archive.finalize();
  return buffer(archive);
}

/** Stores a blob under its digest and returns its descriptor. */
function writeBlob(folder, mediaType, content) {
  const digest = digestOf(content);
  writeFileSync(join(folder, 'blobs', digest.replace(':', '/')), content);
  return { mediaType, digest, size: Buffer.byteLength(content) };
}

function digestOf(content) {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
