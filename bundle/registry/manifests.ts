import type { Digest } from '../../schemas/image.ts';
import { hashFor, parseDigest, sha256 } from '../image/digest.ts';
import type { Document } from '../image/document.ts';
import { INDEX_TYPES, isIndexType, isManifestType, MANIFEST_TYPES } from '../image/media-types.ts';
import type { RegistryClient } from './client.ts';
import { RegistryError } from './error.ts';
import { drop, type HttpResponse, readBytes } from './http.ts';

/** Bytes; registries need not take more than 4 MiB (distribution-spec, Pushing Manifests). */
const MOST_BYTES = 8 * 1024 * 1024;

const ACCEPT = [...MANIFEST_TYPES, ...INDEX_TYPES].join(', ');

/** Docker's first format: nothing in it can be verified without its signature. */
const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/;

/**
 * Fetches a manifest or an index (distribution-spec, Pulling manifests). Its digest is computed, and compared
 * with what the registry says.
 *
 * @param reference a tag or a digest
 * @param options.accept the media types that are wanted; all that are known unless told
 * @param options.repeat false where somebody else is asked if this attempt fails
 * @throws RegistryError in one line where there is none (status 404), and for an answer that
 *   contradicts itself
 */
export async function fetchManifest(
  client: RegistryClient,
  reference: string,
  { accept = ACCEPT, repeat = true }: { readonly accept?: string; readonly repeat?: boolean } = {},
): Promise<Document> {
  const response = await client.request({
    method: 'GET',
    path: client.path(`manifests/${reference}`),
    headers: { accept },
    scopes: [client.scope('pull')],
    expect: [200],
    repeat,
  });
  const mediaType = typeOf(response);
  const bytes = await readBytes(response, MOST_BYTES);
  checkType(response, mediaType, bytes, accept);
  const said = [response.headers['docker-content-digest'] ?? []].flat()[0];
  const digest = reference.includes(':') ? reference : said;
  return {
    bytes,
    descriptor: { mediaType, digest: verified(response, bytes, digest), size: bytes.byteLength },
  };
}

/** Whether the repository has a manifest. @param reference a tag or a digest */
export async function hasManifest(client: RegistryClient, reference: string): Promise<boolean> {
  const response = await client.request({
    method: 'HEAD',
    path: client.path(`manifests/${reference}`),
    headers: { accept: ACCEPT },
    scopes: [client.scope('pull,push')],
    expect: [200, 404],
  });
  await drop(response);
  return response.status === 200;
}

/**
 * Stores a manifest or an index.
 *
 * @param reference the tag to give it, or its digest
 * @returns whether the registry keeps account of the `subject` that it has
 */
export async function putManifest(
  client: RegistryClient,
  reference: string,
  { mediaType, bytes }: { readonly mediaType: string; readonly bytes: Uint8Array },
): Promise<boolean> {
  const response = await client.request({
    method: 'PUT',
    path: client.path(`manifests/${reference}`),
    headers: { 'content-type': mediaType },
    body: () => bytes,
    scopes: [client.scope('pull,push')],
    expect: [200, 201, 202],
  });
  await drop(response);
  return response.headers['oci-subject'] !== undefined;
}

/** The media type without parameters, which some servers add. */
function typeOf({ headers }: HttpResponse): string {
  return (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** Documents that others would read as another type would be another image to them (CVE-2021-41190). */
function checkType({ url }: HttpResponse, mediaType: string, bytes: Buffer, accept: string): void {
  const what = `${url.host}: ${url.pathname}`;
  let document: { mediaType?: unknown; schemaVersion?: unknown } | null = null;
  try {
    document = JSON.parse(bytes.toString());
  } catch {
    // Not even JSON: said below.
  }
  if (SCHEMA_1.test(mediaType) || document?.schemaVersion === 1)
    throw new RegistryError(
      `${what} is an image in Docker's schema 1, which cannot be verified and is not read: have it built or pushed again by a tool younger than 2016`,
    );
  const known = isIndexType(mediaType) || isManifestType(mediaType) || accept.includes(mediaType);
  if (mediaType === '' || !known)
    throw new RegistryError(
      `${what} is no manifest: its Content-Type is ${JSON.stringify(mediaType)}: is a registry there?`,
    );
  if (typeof document !== 'object' || document === null)
    throw new RegistryError(`${what} is no JSON object, though its Content-Type is ${mediaType}`);
  if (document.mediaType !== undefined && document.mediaType !== mediaType)
    throw new RegistryError(
      `${what} says that it is ${JSON.stringify(document.mediaType)}, but its Content-Type is ${mediaType}`,
    );
}

/** @returns the digest, which is what was asked for, or what the registry said */
function verified({ url }: HttpResponse, bytes: Buffer, digest: string | undefined): Digest {
  if (digest === undefined) return sha256(bytes);
  const { algorithm, encoded } = parseDigest(digest);
  const found = hashFor({ algorithm, encoded }).update(bytes).digest('hex');
  if (found !== encoded)
    throw new RegistryError(
      `${url.host}: ${url.pathname}: the content is not what the digest ${digest} names, but ${algorithm}:${found}`,
    );
  return digest as Digest;
}
