import { isObject } from '../../schemas/is-object.ts';
import type { Route } from './connections.ts';
import type { Credentials } from './credentials.ts';
import { RegistryError } from './error.ts';
import { networkFailure, refusal } from './failure.ts';
import { type HttpRequest, readText, send } from './http.ts';

/** Seconds that a token lasts where its server does not say (distribution: Token Authentication). */
const DEFAULT_LIFE = 60;
/** Seconds before its end from which a token is not used: requests take time. */
const MARGIN = 10;

/** How token servers know us. */
const CLIENT = 'scow-bundle';

/** What a registry lets us in with, for some time. */
export interface Token {
  readonly value: string;
  /** Milliseconds of `Date.now()`. */
  readonly expires: number;
}

/** What a token is asked for. */
export interface TokenRequest {
  /** Whose token it is. */
  readonly registry: string;
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly credentials: Credentials | undefined;
  readonly silence: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Gets a token: by GET with the password, or, for an identity token, as OAuth 2.0 has it, by POST.
 *
 * @param route how the token server is reached
 * @throws RegistryError in one line when the server does not give one
 */
export async function fetchToken(request: TokenRequest, route: Route): Promise<Token> {
  const { realm, silence, signal } = request;
  const response = await send({
    ...form(request, route),
    agent: route.agent,
    silence,
    signal,
  }).catch((error: unknown) => {
    throw signal?.aborted ? error : networkFailure(error, realm, false);
  });
  if (response.status !== 200)
    throw await refusal(response, { host: realm.host, hint: hintFor(response.status, request) });
  return parseToken(await readText(response), realm);
}

function form(
  { realm, service, scopes, credentials }: TokenRequest,
  route: Route,
): Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body' | 'target'> {
  const parameters = new URLSearchParams();
  if (service !== undefined) parameters.set('service', service);
  if (credentials !== undefined && 'identityToken' in credentials) {
    parameters.set('grant_type', 'refresh_token');
    parameters.set('client_id', CLIENT);
    parameters.set('scope', scopes.join(' '));
    parameters.set('refresh_token', credentials.identityToken);
    return {
      method: 'POST',
      url: realm,
      headers: { ...route.headers, 'content-type': 'application/x-www-form-urlencoded' },
      body: Buffer.from(parameters.toString()),
      ...targeted(route, realm),
    };
  }
  for (const scope of scopes) parameters.append('scope', scope);
  const known = credentials !== undefined && 'username' in credentials ? credentials : undefined;
  if (known !== undefined) parameters.set('account', known.username);
  const url = new URL(realm);
  for (const [name, value] of parameters) url.searchParams.append(name, value);
  return {
    method: 'GET',
    url,
    headers: { ...route.headers, ...(known === undefined ? {} : { authorization: basic(known) }) },
    ...targeted(route, url),
  };
}

/** RFC 7617. */
export function basic(pair: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${pair.username}:${pair.password}`).toString('base64')}`;
}

function targeted(route: Route, url: URL): { target?: string } {
  const target = route.target(url);
  return target === undefined ? {} : { target };
}

function hintFor(status: number, { credentials, registry }: TokenRequest): string {
  if (status !== 401 && status !== 403) return '';
  return credentials === undefined
    ? `: log in first: scow-bundle login ${registry}`
    : `: with the credentials from ${credentials.from}`;
}

function parseToken(text: string, realm: URL): Token {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    // Said below.
  }
  const { token, access_token, expires_in } = isObject(answer) ? answer : {};
  const value = token || access_token;
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value))
    throw new RegistryError(`${realm.host} answered without a token to ${realm.pathname}`);
  const life = typeof expires_in === 'number' ? Math.max(expires_in, DEFAULT_LIFE) : DEFAULT_LIFE;
  return { value, expires: Date.now() + (life - MARGIN) * 1000 };
}
