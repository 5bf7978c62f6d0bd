import type { Descriptor } from '../../schemas/image.ts';
import type { Content } from '../image/source.ts';
import type { RegistryClient } from './client.ts';
import { hasStatus, RegistryError } from './error.ts';
import { networkFailure } from './failure.ts';
import { chunksOf, drop, type HttpResponse } from './http.ts';
import { beforeNext } from './retry.ts';

/**
 * A blob of a repository, fetched when it is read (distribution-spec, Pulling blobs). A reading
 * that breaks off goes on where it broke off, as long as every attempt brings something.
 *
 * @param clients who has it; the next one goes on where one fails
 */
export function registryBlob(clients: readonly RegistryClient[], descriptor: Descriptor): Content {
  return {
    size: undefined,
    read: (from = 0) => readFromAny(clients, descriptor, from),
    release() {},
  };
}

/** Whether a repository has a blob. @throws RegistryError when it does not say */
export async function hasBlob(client: RegistryClient, { digest }: Descriptor): Promise<boolean> {
  const response = await client.request({
    method: 'HEAD',
    path: client.path(`blobs/${digest}`),
    scopes: [client.scope('pull,push')],
    expect: [200, 404],
  });
  await drop(response);
  return response.status === 200;
}

async function* readFromAny(
  clients: readonly RegistryClient[],
  descriptor: Descriptor,
  from: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const [client, ...others] = clients as [RegistryClient, ...RegistryClient[]];
  let at = from;
  try {
    for await (const chunk of readBlobFrom(client, descriptor, from)) {
      at += chunk.byteLength;
      yield chunk;
    }
    return;
  } catch (error) {
    if (others.length === 0) throw error;
    client.passOver(error);
  }
  yield* readFromAny(others, descriptor, at);
}

async function* readBlobFrom(
  client: RegistryClient,
  descriptor: Descriptor,
  from: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = from;
  for (let failed = 0; at < descriptor.size || (at === 0 && failed === 0); ) {
    try {
      const response = await request(client, descriptor, at);
      for await (const chunk of rest(response, at)) {
        at += chunk.byteLength;
        failed = 0;
        yield chunk;
      }
      if (at >= descriptor.size) return;
      throw cutOff(response, at, descriptor.size);
    } catch (error) {
      failed++;
      await beforeNext(error, failed, client.attempts, client.signal);
    }
  }
}

async function request(
  client: RegistryClient,
  { digest }: Descriptor,
  from: number,
): Promise<HttpResponse> {
  try {
    return await client.request({
      method: 'GET',
      path: client.path(`blobs/${digest}`),
      headers: from === 0 ? {} : { range: `bytes=${from}-` },
      scopes: [client.scope('pull')],
      expect: [200, 206],
      repeat: false,
    });
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
    throw new RegistryError(`is missing: ${error.message}`, { status: 404, cause: error });
  }
}

/** What follows an offset; a server that knows no ranges sends all. */
async function* rest(
  response: HttpResponse,
  from: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const range = response.status === 206 ? response.headers['content-range'] : undefined;
  const begins = range === undefined ? 0 : Number(/^bytes (\d+)-/.exec(range)?.[1]);
  if (response.status === 206 && begins !== from)
    throw new RegistryError(
      `${response.url.host} sent the range ${JSON.stringify(range)} where bytes=${from}- was asked for`,
    );
  let skip = from - begins;
  try {
    for await (const chunk of chunksOf(response)) {
      const left = chunk.subarray(Math.min(skip, chunk.byteLength));
      skip -= chunk.byteLength - left.byteLength;
      if (left.byteLength > 0) yield left;
    }
  } catch (error) {
    if (response.signal?.aborted) throw error;
    throw networkFailure(error, response.url, false);
  }
}

function cutOff({ url }: HttpResponse, at: number, size: number): RegistryError {
  return new RegistryError(`${url.host} ended after ${at} of ${size} bytes: it was truncated`, {
    transient: true,
  });
}
