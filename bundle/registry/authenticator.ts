import { type Challenge, parseChallenges } from './challenge.ts';
import type { Connections } from './connections.ts';
import type { Credentials } from './credentials.ts';
import { RegistryError } from './error.ts';
import { retrying } from './retry.ts';
import { basic, fetchToken, type Token } from './token.ts';

/** What an authenticator gets its credentials by. */
export interface AuthenticatorOptions {
  /** As names have it. */
  readonly registry: string;
  readonly connections: Connections;
  readonly credentials: () => Promise<Credentials | undefined>;
  /** Whether credentials may be sent where anybody can read them. */
  readonly insecure: boolean;
  readonly silence: number;
  readonly attempts: number;
  readonly signal: AbortSignal | undefined;
}

/** How a registry said that it wants to be asked. */
type Method =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: URL; readonly service: string | undefined };

/**
 * Answers the challenges of one registry (distribution: Token Authentication; RFC 7617). Nothing is
 * sent before it asked; from then on every request has what it wants, and a token is fetched once
 * for all requests that need it.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #tokens = new Map<string, Promise<Token>>();
  #method: Method | undefined;
  #credentials: Promise<Credentials | undefined> | undefined;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** Where the credentials are from that are used; undefined without any. */
  async source(): Promise<string | undefined> {
    return (await this.#known())?.from;
  }

  /**
   * The `Authorization` of the next request; undefined while the registry did not ask for one, and
   * where we have nothing to answer.
   *
   * @param scopes such as `repository:library/alpine:pull`
   * @throws Error in one line when there is no token to be had
   */
  async header(scopes: readonly string[], registryOrigin: URL): Promise<string | undefined> {
    if (this.#method === undefined) return undefined;
    const credentials = await this.#known();
    if (credentials !== undefined) this.#checkPrivate(registryOrigin);
    if (credentials !== undefined && 'registryToken' in credentials)
      return `Bearer ${credentials.registryToken}`;
    if (this.#method.scheme === 'basic')
      return credentials !== undefined && 'username' in credentials
        ? basic(credentials)
        : undefined;
    return `Bearer ${(await this.#token(this.#method, scopes, credentials)).value}`;
  }

  /**
   * Takes note of what a 401 said.
   *
   * @param sent the header that the request had
   * @returns whether the same request may succeed with another header
   */
  async challenged(
    challenge: string | undefined,
    sent: string | undefined,
    scopes: readonly string[],
    registryOrigin: URL,
  ): Promise<boolean> {
    const method = this.#choose(parseChallenges(challenge ?? ''), registryOrigin);
    if (method === undefined) return false;
    this.#method = method;
    const key = scopes.join(' ');
    const token = await this.#tokens.get(key)?.catch(() => undefined);
    // It has expired, or was revoked; unless somebody fetched another one meanwhile.
    if (token !== undefined && `Bearer ${token.value}` === sent) this.#tokens.delete(key);
    const next = await this.header(scopes, registryOrigin);
    return next !== undefined && next !== sent;
  }

  #choose(challenges: readonly Challenge[], registryOrigin: URL): Method | undefined {
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer !== undefined) {
      const text = bearer.parameters.get('realm') ?? '';
      const realm = URL.canParse(text) ? new URL(text) : undefined;
      if (realm === undefined || !/^https?:$/.test(realm.protocol))
        throw new RegistryError(
          `${registryOrigin.host} wants a token from ${JSON.stringify(text)}, which is no URL`,
        );
      return { scheme: 'bearer', realm, service: bearer.parameters.get('service') };
    }
    return challenges.some(({ scheme }) => scheme === 'basic') ? { scheme: 'basic' } : undefined;
  }

  /** @throws RegistryError where a secret would cross the network in the open, and nobody asked for that */
  #checkPrivate(registryOrigin: URL): void {
    const to = this.#method?.scheme === 'bearer' ? this.#method.realm : registryOrigin;
    if (to.protocol === 'http:' && !this.#options.insecure)
      throw new RegistryError(
        `${registryOrigin.host} wants credentials to be sent to ${to.origin}, in the open: --insecure allows it`,
      );
  }

  async #token(
    { realm, service }: Method & { readonly scheme: 'bearer' },
    scopes: readonly string[],
    credentials: Credentials | undefined,
  ): Promise<Token> {
    const key = scopes.join(' ');
    const cached = this.#tokens.get(key);
    if (cached !== undefined && (await cached).expires > Date.now()) return cached;
    // Whoever waited for the same old token finds the new one.
    const newer = this.#tokens.get(key);
    if (newer !== undefined && newer !== cached) return newer;
    const { registry, connections, silence, attempts, signal } = this.#options;
    const fetched = retrying({ attempts, signal }, () =>
      fetchToken(
        { registry, realm, service, scopes, credentials, silence, signal },
        connections.route(realm),
      ),
    );
    this.#tokens.set(key, fetched);
    fetched.catch(() => this.#tokens.delete(key));
    return fetched;
  }

  #known(): Promise<Credentials | undefined> {
    this.#credentials ??= this.#options.credentials();
    return this.#credentials;
  }
}
