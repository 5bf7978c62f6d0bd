import { codeOf } from '../../runtime/linux/reason.ts';
import { Authenticator } from './authenticator.ts';
import { Connections } from './connections.ts';
import { type Credentials, findCredentials } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';
import { RegistryError } from './error.ts';
import { isPlain, networkFailure, refusal } from './failure.ts';
import { type Body, ContentError, drop, type HttpResponse, send } from './http.ts';
import { retrying } from './retry.ts';

/** Redirects in a row: a registry leads to its storage, which may lead on once or twice. */
const MOST_REDIRECTS = 5;

/** How a registry is spoken to. */
export interface RegistryOptions {
  /** Allow plain HTTP, and certificates of unknown authorities. */
  readonly insecure?: boolean;
  /** Milliseconds that a registry may be silent; a minute unless told. */
  readonly silence?: number;
  /** How often a request is tried; 5 unless told. */
  readonly attempts?: number;
  readonly signal?: AbortSignal | undefined;
  /** Hears what does not stop the work: a mirror that failed. */
  readonly warn?: (message: string) => void;
}

/** A request to a registry, and the answers that it may have. */
export interface ClientRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** The path below `/v2/`; or a whole URL that the registry gave us. */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew for every attempt. */
  readonly body?: () => Body;
  /** What a token must allow, such as `repository:library/alpine:pull`. */
  readonly scopes: readonly string[];
  /** The statuses that are no failure. */
  readonly expect: readonly number[];
  /** False where another attempt takes more than sending the same again. */
  readonly repeat?: boolean;
}

/** Speaks to one registry (distribution-spec 1.1): authentication, redirects, further attempts. */
export class RegistryClient {
  readonly endpoint: Endpoint;
  readonly attempts: number;
  readonly signal: AbortSignal | undefined;
  readonly #silence: number;
  readonly #warn: (message: string) => void;
  readonly #connections: Connections;
  readonly #authenticator: Authenticator;
  #origin: Promise<URL> | undefined;

  /** @param credentials those to be used instead of what `findCredentials` finds */
  constructor(endpoint: Endpoint, options: RegistryOptions = {}, credentials?: Credentials) {
    const { silence = 60_000, attempts = 5, signal } = options;
    this.endpoint = endpoint;
    this.attempts = attempts;
    this.signal = signal;
    this.#silence = silence;
    this.#warn = options.warn ?? (() => undefined);
    this.#connections = new Connections({ insecure: endpoint.insecure, silence });
    this.#authenticator = new Authenticator({
      registry: endpoint.registry,
      connections: this.#connections,
      credentials: async () =>
        credentials ?? (await findCredentials(endpoint.registry, endpoint.repository)),
      insecure: endpoint.insecure,
      silence,
      attempts,
      signal,
    });
  }

  close(): void {
    this.#connections.close();
  }

  /**
   * Says that a mirror failed, and that somebody else is asked.
   *
   * @throws the error, where it is no failure of the mirror
   */
  passOver(error: unknown): void {
    this.signal?.throwIfAborted();
    if (!(error instanceof RegistryError)) throw error;
    this.#warn(`the mirror ${this.endpoint.registry} is passed over: ${error.message}`);
  }

  /** The path of something of the repository, for `request`. */
  path(what: string): string {
    return `${this.endpoint.repository}/${what}`;
  }

  /** What a token must allow for work on a repository; on ours unless told. */
  scope(actions: 'pull' | 'pull,push', repository = this.endpoint.repository): string {
    return `repository:${repository}:${actions}`;
  }

  /**
   * Sends a request, with what the registry wants to know of us, and follows where it leads. The
   * caller takes the answer's body.
   *
   * @throws RegistryError in one line for any other status, and when there is no answer
   */
  async request(request: ClientRequest): Promise<HttpResponse> {
    const attempts = request.repeat === false ? 1 : this.attempts;
    return retrying({ attempts, signal: this.signal }, () => this.#attempt(request));
  }

  async #attempt(request: ClientRequest): Promise<HttpResponse> {
    const origin = await this.#reach();
    const url = request.path instanceof URL ? request.path : new URL(`/v2/${request.path}`, origin);
    let response = await this.#authorized(request, url, origin);
    if (request.method === 'GET' || request.method === 'HEAD')
      response = await this.#follow(request, response, origin);
    if (request.expect.includes(response.status)) return response;
    throw await this.#refused(response, origin);
  }

  /** Sends it; once more if the registry then says what it wants to know. */
  async #authorized(request: ClientRequest, url: URL, origin: URL): Promise<HttpResponse> {
    // What a registry leads to elsewhere never sees who we are.
    if (url.origin !== origin.origin) return this.#send(request, url, undefined);
    const authorization = await this.#authenticator.header(request.scopes, origin);
    const response = await this.#send(request, url, authorization);
    if (response.status !== 401) return response;
    const challenge = response.headers['www-authenticate'];
    if (!(await this.#authenticator.challenged(challenge, authorization, request.scopes, origin)))
      return response;
    await drop(response);
    return this.#send(request, url, await this.#authenticator.header(request.scopes, origin));
  }

  async #follow(request: ClientRequest, first: HttpResponse, origin: URL): Promise<HttpResponse> {
    let response = first;
    for (let count = 0; isRedirect(response); count++) {
      const { host } = response.url;
      if (count === MOST_REDIRECTS)
        throw new RegistryError(`${host} leads on and on: ${count} redirects in a row`);
      const next = this.#resolve(response.headers.location ?? '', response.url, origin);
      await drop(response);
      response = await this.#authorized(request, next, origin);
    }
    return response;
  }

  /**
   * Where an answer leads: an upload's `Location`, or the next page of a list.
   *
   * @param text a URL, which may be relative
   * @throws RegistryError when it leads nowhere, or from TLS to plain HTTP
   */
  async leads(text: string, { url }: HttpResponse): Promise<URL> {
    return this.#resolve(text, url, await this.#reach());
  }

  #resolve(text: string, base: URL, origin: URL): URL {
    if (text === '' || !URL.canParse(text, base.href))
      throw new RegistryError(`${base.host} leads to ${JSON.stringify(text)}, which is no URL`);
    const next = new URL(text, base.href);
    // Behind a proxy that does TLS, some registries do not know that they are reached by it.
    if (next.host === origin.host) next.protocol = origin.protocol;
    if (next.protocol !== 'https:' && !(next.protocol === 'http:' && this.endpoint.insecure))
      throw new RegistryError(
        `${base.host} leads to ${next.origin}, which is not private: --insecure allows it`,
      );
    return next;
  }

  async #send(
    { method, headers = {}, body }: ClientRequest,
    url: URL,
    authorization: string | undefined,
  ): Promise<HttpResponse> {
    const route = this.#connections.route(url);
    const target = route.target(url);
    const content = body?.();
    try {
      return await send({
        method,
        url,
        headers: {
          'user-agent': 'scow-bundle',
          ...headers,
          ...route.headers,
          ...(authorization === undefined ? {} : { authorization }),
        },
        ...(content === undefined ? {} : { body: content }),
        agent: route.agent,
        ...(target === undefined ? {} : { target }),
        silence: this.#silence,
        signal: this.signal,
      });
    } catch (error) {
      if (error instanceof ContentError) throw error.cause;
      throw this.signal?.aborted ? error : networkFailure(error, url, this.endpoint.insecure);
    }
  }

  /** The registry's origin: `https:`, or what is there where plain HTTP is allowed. */
  #reach(): Promise<URL> {
    this.#origin ??= this.#findOrigin();
    this.#origin.catch(() => {
      this.#origin = undefined;
    });
    return this.#origin;
  }

  async #findOrigin(): Promise<URL> {
    const secure = new URL(`https://${this.endpoint.host}`);
    if (!this.endpoint.insecure) return secure;
    const url = new URL('/v2/', secure);
    const { agent, headers } = this.#connections.route(url);
    try {
      const probe = { method: 'GET', url, headers, agent };
      await drop(await send({ ...probe, silence: this.#silence, signal: this.signal }));
      return secure;
    } catch (error) {
      const plain = isPlain(error) || ['ECONNREFUSED', 'ECONNRESET'].includes(codeOf(error) ?? '');
      if (plain) return new URL(`http://${this.endpoint.host}`);
      throw this.signal?.aborted ? error : networkFailure(error, url, true);
    }
  }

  async #refused(response: HttpResponse, origin: URL): Promise<RegistryError> {
    const { registry } = this.endpoint;
    if (response.url.origin !== origin.origin)
      return refusal(response, { host: `${response.url.host}, where ${registry} leads to,` });
    if (response.status !== 401 && response.status !== 403)
      return refusal(response, { host: registry });
    const from = await this.#authenticator.source();
    const login = `scow-bundle login ${registry}`;
    const hint =
      from === undefined ? `: log in first: ${login}` : `: with the credentials from ${from}`;
    return refusal(response, { host: registry, hint });
  }
}

function isRedirect({ status }: HttpResponse): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}
