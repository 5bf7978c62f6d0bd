import * as http from 'node:http';
import * as https from 'node:https';
import { RegistryError } from './error.ts';

/** Bytes of an answer that is not content: an error, a token. */
const MOST_TEXT = 1024 * 1024;

/** What is sent along: bytes, or a stream of known length. */
export type Body =
  | Uint8Array
  | { readonly size: number; readonly chunks: AsyncIterable<Uint8Array> };

/** What is to be sent could not be read: its cause says why. The other side has no part in it. */
export class ContentError extends Error {}

/** One request, without what an answer may ask for. */
export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body;
  /** How connections are made: see `connections`. */
  readonly agent: http.Agent;
  /** The request target where it is not the URL's path: the whole URL, for a proxy. */
  readonly target?: string;
  /** Milliseconds that the other side may be silent. */
  readonly silence: number;
  readonly signal?: AbortSignal | undefined;
}

/** The answer to it, whose body is still to be taken. */
export interface HttpResponse {
  readonly method: string;
  readonly url: URL;
  readonly status: number;
  readonly statusText: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly silence: number;
  readonly signal?: AbortSignal | undefined;
  readonly stream: http.IncomingMessage;
}

/**
 * Sends one request, without following what the answer says. The caller takes the body (`chunksOf`,
 * `readText`), or `drop`s it.
 *
 * @throws what node:http throws; RegistryError when the other side is silent; ContentError; the
 *   signal's reason
 */
export async function send(request: HttpRequest): Promise<HttpResponse> {
  const { url, method, headers = {}, body, agent, target, silence, signal } = request;
  signal?.throwIfAborted();
  const outgoing = (url.protocol === 'https:' ? https : http).request(url, {
    method,
    agent,
    headers: { ...headers, ...lengthOf(body, method) },
    ...(target === undefined ? {} : { path: target }),
    ...(signal === undefined ? {} : { signal }),
  });
  const answer = new Promise<http.IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.on('error', reject);
  });
  answer.catch(() => undefined);
  const late = () => silenceError(request);
  try {
    const sent = sendBody(outgoing, body, answer, silence, late);
    const stream = await within(
      sent.then(() => answer),
      body instanceof Uint8Array || body === undefined ? silence : undefined,
      late,
    );
    return {
      method,
      url,
      status: stream.statusCode ?? 0,
      statusText: stream.statusMessage ?? '',
      headers: stream.headers,
      silence,
      signal,
      stream,
    };
  } catch (error) {
    outgoing.destroy();
    throw signal?.aborted ? signal.reason : error;
  }
}

/** The bytes of an answer, as they come. @throws as `send` does */
export async function* chunksOf(
  response: HttpResponse,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { stream, silence, signal } = response;
  const iterator = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  try {
    for (;;) {
      const next = await within(iterator.next(), silence, () => silenceError(response));
      if (next.done === true) break;
      yield next.value;
    }
    // Bun ends the stream where Node throws: both know that more was announced.
    if (!stream.complete) throw Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    stream.destroy();
  }
}

/** A small body whole. @throws RegistryError for one that is not small */
export async function readBytes(response: HttpResponse, most = MOST_TEXT): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunksOf(response)) {
    size += chunk.byteLength;
    if (size > most)
      throw new RegistryError(
        `${response.url.host} sends more than ${most} bytes to ${response.method} ${response.url.pathname}`,
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The body as UTF-8. @throws as `readBytes` does */
export async function readText(response: HttpResponse): Promise<string> {
  return (await readBytes(response)).toString();
}

/** For a body that nobody wants: a short one is read, so that the connection can be used again. */
export async function drop(response: HttpResponse): Promise<void> {
  if (Number(response.headers['content-length'] ?? MOST_TEXT) < MOST_TEXT)
    await readBytes(response).catch(() => undefined);
  else response.stream.destroy();
}

function lengthOf(body: Body | undefined, method: string): Record<string, string> {
  if (body === undefined)
    return method === 'POST' || method === 'PUT' || method === 'PATCH'
      ? { 'content-length': '0' }
      : {};
  return { 'content-length': String(body instanceof Uint8Array ? body.byteLength : body.size) };
}

async function sendBody(
  outgoing: http.ClientRequest,
  body: Body | undefined,
  answer: Promise<http.IncomingMessage>,
  silence: number,
  late: () => Error,
): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    outgoing.end(body);
    return;
  }
  // An answer before the end is a refusal: what is left need not be sent.
  let answered = false;
  const over = answer.then((response) => {
    answered = true;
    // Half a request cannot be followed by another one on the same connection.
    if (!outgoing.writableEnded) response.once('close', () => outgoing.destroy());
  });
  over.catch(() => undefined);
  for await (const chunk of readable(body.chunks)) {
    if (answered) return;
    if (!outgoing.write(chunk))
      await within(Promise.race([drained(outgoing), over]), silence, late);
  }
  outgoing.end();
  await within(over, silence, late);
}

async function* readable(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    throw new ContentError((error as Error).message, { cause: error });
  }
}

function drained(outgoing: http.ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    outgoing.once('drain', resolve);
  });
}

/** Waits for the other side, so many milliseconds at most. */
async function within<T>(
  promise: Promise<T>,
  milliseconds: number | undefined,
  late: () => Error,
): Promise<T> {
  if (milliseconds === undefined) return promise;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), milliseconds);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function silenceError({ method, url, silence }: HttpRequest | HttpResponse): RegistryError {
  return new RegistryError(
    `${url.host} has been silent for ${silence / 1000} seconds after ${method} ${url.pathname}: the connection hangs`,
  );
}
