import type { Descriptor } from '../../schemas/image.ts';
import { hasBlob } from './blobs.ts';
import type { RegistryClient } from './client.ts';
import { hasStatus, RegistryError } from './error.ts';
import { type Body, drop, type HttpResponse } from './http.ts';
import { gathered, pieces, skipped } from './pieces.ts';
import { beforeNext } from './retry.ts';

/** Bytes up to which a blob is sent in one request, from memory. */
const SMALL = 1024 * 1024;
/** Bytes of a chunk, where a stream did not get through. */
const CHUNK = 8 * 1024 * 1024;

/** A blob on its way to a repository. */
interface Upload {
  readonly client: RegistryClient;
  readonly descriptor: Descriptor;
  readonly content: AsyncIterable<Uint8Array>;
  readonly scopes: readonly string[];
}

/** An upload that the registry began: where it goes on, and what a chunk must have at least. */
interface Session {
  readonly location: URL;
  /** Bytes that have arrived. */
  readonly offset: number;
  readonly least: number;
}

/**
 * Sends a blob (distribution-spec, Pushing blobs). A small one goes in one request; a larger one as a stream,
 * and, where that breaks off or is too much at once, in chunks from where it broke off.
 *
 * @param content may be iterated several times, unless it is a generator: it gets one attempt then
 * @param mountFrom a repository of the same registry that may have the blob: it need not be sent then
 * @throws RegistryError in one line; what `content` throws
 */
export async function uploadBlob(
  client: RegistryClient,
  descriptor: Descriptor,
  content: AsyncIterable<Uint8Array>,
  mountFrom?: string,
): Promise<void> {
  const scopes = [client.scope('pull,push')];
  const begun = await begin(client, scopes, descriptor, mountFrom);
  if (begun === undefined) return;
  const upload = { client, descriptor, content, scopes };
  if (descriptor.size <= SMALL) await sendWhole(upload, begun);
  else await sendStream(upload, begun);
}

/** @returns undefined when the blob was mounted: it is there */
async function begin(
  client: RegistryClient,
  scopes: readonly string[],
  { digest }: Descriptor,
  mountFrom?: string,
): Promise<Session | undefined> {
  const start = async (query: string, wanted: readonly string[]) => {
    const path = client.path(`blobs/uploads/${query}`);
    const response = await client.request({
      method: 'POST',
      path,
      scopes: wanted,
      expect: [201, 202],
    });
    await drop(response);
    return response;
  };
  if (mountFrom !== undefined) {
    const mount = new URLSearchParams({ mount: digest, from: mountFrom });
    // Who may not read there, or where it is not, sends the blob.
    const response = await start(`?${mount}`, [...scopes, client.scope('pull', mountFrom)]).catch(
      (error: unknown) => {
        if (hasStatus(error, 400, 401, 403, 404, 405)) return undefined;
        throw error;
      },
    );
    if (response?.status === 201) return undefined;
    if (response !== undefined) return session(client, response, 0);
  }
  const response = await start('', scopes);
  return response.status === 201 ? undefined : session(client, response, 0);
}

async function sendWhole(
  { client, descriptor, content, scopes }: Upload,
  begun: Session,
): Promise<void> {
  const bytes = await gathered(content);
  const response = await client.request({
    method: 'PUT',
    path: finalUrl(begun.location, descriptor),
    headers: { 'content-type': 'application/octet-stream' },
    body: () => bytes,
    scopes,
    expect: [201, 204],
  });
  await drop(response);
}

async function sendStream(upload: Upload, begun: Session): Promise<void> {
  const { client, content } = upload;
  const progress = { at: begun };
  for (let failed = 0; ; ) {
    try {
      await (failed === 0 ? patchStream(upload, progress) : patchChunks(upload, progress));
      break;
    } catch (error) {
      failed++;
      // What was read once cannot be read again.
      if (Object.is(content[Symbol.asyncIterator](), content)) throw error;
      const tooMuchAtOnce = hasStatus(error, 413) && failed === 1;
      if (!tooMuchAtOnce) await beforeNext(error, failed, client.attempts, client.signal);
      const arrived = progress.at.offset;
      progress.at = await resume(upload, progress.at);
      if (progress.at.offset > arrived) failed = 1;
    }
  }
  await finish(upload, progress.at.location);
}

async function patchStream(upload: Upload, progress: { at: Session }): Promise<void> {
  const { size } = upload.descriptor;
  const body = () => ({ size, chunks: upload.content });
  progress.at = await patch(upload, progress.at, size, body);
}

async function patchChunks(upload: Upload, progress: { at: Session }): Promise<void> {
  const length = Math.max(CHUNK, progress.at.least);
  for await (const chunk of pieces(skipped(upload.content, progress.at.offset), length))
    progress.at = await patch(upload, progress.at, chunk.byteLength, () => chunk);
}

async function patch(
  { client, scopes }: Upload,
  at: Session,
  size: number,
  body: () => Body,
): Promise<Session> {
  const end = at.offset + size;
  const response = await client.request({
    method: 'PATCH',
    path: at.location,
    headers: {
      'content-type': 'application/octet-stream',
      'content-range': `${at.offset}-${end - 1}`,
    },
    body,
    scopes,
    expect: [202, 204],
    repeat: false,
  });
  await drop(response);
  return session(client, response, end, at);
}

/** Asks how much has arrived; begins anew where the registry has forgotten. */
async function resume({ client, descriptor, scopes }: Upload, at: Session): Promise<Session> {
  const response = await client
    .request({ method: 'GET', path: at.location, scopes, expect: [204, 202, 200] })
    .catch((error: unknown) => {
      if (hasStatus(error, 400, 404, 405, 416)) return undefined;
      throw error;
    });
  if (response !== undefined) {
    await drop(response);
    const arrived = rangeEnd(response);
    if (arrived !== undefined && arrived <= descriptor.size)
      return session(client, response, arrived, at);
  }
  const anew = await begin(client, scopes, descriptor);
  if (anew === undefined)
    throw new RegistryError(`${client.endpoint.registry}: an upload was lost`);
  return anew;
}

async function finish({ client, descriptor, scopes }: Upload, location: URL): Promise<void> {
  try {
    const response = await client.request({
      method: 'PUT',
      path: finalUrl(location, descriptor),
      scopes,
      expect: [201, 204],
    });
    await drop(response);
  } catch (error) {
    // An answer that was lost on its way is asked for again, when the upload is over already.
    if (!hasStatus(error, 404) || !(await hasBlob(client, descriptor))) throw error;
  }
}

async function session(
  client: RegistryClient,
  response: HttpResponse,
  offset: number,
  before?: Session,
): Promise<Session> {
  const { location, 'oci-chunk-min-length': least } = response.headers;
  return {
    location:
      location === undefined && before !== undefined
        ? before.location
        : await client.leads(location ?? '', response),
    offset,
    least: Number(least ?? before?.least ?? 0),
  };
}

/** How many bytes `Range: 0-N` says; undefined where it says nothing. */
function rangeEnd({ headers }: HttpResponse): number | undefined {
  const match = /^(?:bytes=)?0-(\d+)$/.exec(headers.range ?? '');
  if (match === null) return undefined;
  const last = Number(match[1]);
  // Nothing arrived: there is no other way to write that than for one byte.
  return last === 0 ? 0 : last + 1;
}

/** The rest of the query stays as it was written, for it may be signed. */
function finalUrl({ href }: URL, { digest }: Descriptor): URL {
  const url = new URL(href);
  url.search = `${url.search}${url.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`;
  return url;
}
