import * as http from 'node:http';
import * as https from 'node:https';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect } from 'node:tls';
import { reason } from '../../runtime/linux/reason.ts';
import { certificatesFor } from './certificates.ts';
import { RegistryError } from './error.ts';
import { proxyFor, proxyHeaders } from './proxy.ts';

/** Connections to one host at a time. */
const MOST_CONNECTIONS = 8;

/** How one origin is reached. */
export interface Route {
  readonly agent: http.Agent;
  /** The request target for a URL, where it is not its path. */
  target(url: URL): string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The ways to the hosts of one operation; connections are kept and used again.
 *
 * @param insecure whether certificates are not looked at
 */
export class Connections {
  readonly #insecure: boolean;
  readonly #silence: number;
  readonly #routes = new Map<string, Route>();

  constructor({ insecure, silence }: { readonly insecure: boolean; readonly silence: number }) {
    this.#insecure = insecure;
    this.#silence = silence;
  }

  /** @throws Error in one line for certificates that cannot be read, and an impossible proxy */
  route(url: URL): Route {
    const known = this.#routes.get(url.origin);
    if (known !== undefined) return known;
    const route = this.#make(url);
    this.#routes.set(url.origin, route);
    return route;
  }

  /** Closes them all. */
  close(): void {
    for (const { agent } of this.#routes.values()) agent.destroy();
    this.#routes.clear();
  }

  #make(url: URL): Route {
    const proxy = proxyFor(url);
    const shared = { keepAlive: true, maxSockets: MOST_CONNECTIONS };
    const direct = { target: () => undefined, headers: {} };
    if (url.protocol === 'https:') {
      const tls = { ...certificatesFor(url.host), rejectUnauthorized: !this.#insecure };
      if (proxy === undefined) return { ...direct, agent: new https.Agent({ ...shared, ...tls }) };
      return { ...direct, agent: new TunnelAgent(shared, proxy, tls, this.#silence) };
    }
    if (proxy === undefined) return { ...direct, agent: new http.Agent(shared) };
    return {
      agent: new ProxyAgent(shared, proxy),
      target: ({ href }) => href,
      headers: proxyHeaders(proxy),
    };
  }
}

type Created = (error: Error | null, stream?: Duplex) => void;

/** Goes to a proxy, whatever host is asked for. */
class ProxyAgent extends http.Agent {
  readonly #proxy: URL;

  constructor(options: http.AgentOptions, proxy: URL) {
    super(options);
    this.#proxy = proxy;
  }

  override createConnection(options: http.ClientRequestArgs, created: Created): Duplex | undefined {
    const { hostname, port, protocol } = this.#proxy;
    if (protocol === 'https:') return connect(proxyTls(this.#proxy));
    return super.createConnection({ ...options, host: hostname, port: port || 80 }, created) as
      | Duplex
      | undefined;
  }
}

/** Asks a proxy for a tunnel (RFC 9110, 9.3.6: CONNECT), and speaks TLS through it. */
class TunnelAgent extends https.Agent {
  readonly #proxy: URL;
  readonly #tls: ConnectionOptions;
  readonly #silence: number;

  constructor(options: https.AgentOptions, proxy: URL, tls: ConnectionOptions, silence: number) {
    super({ ...options, ...tls } as https.AgentOptions);
    this.#proxy = proxy;
    this.#tls = tls;
    this.#silence = silence;
  }

  override createConnection(
    options: https.RequestOptions,
    created: Created,
  ): Duplex | null | undefined {
    const host = String(options.host ?? options.hostname);
    const port = Number(options.port ?? 443);
    tunnel(this.#proxy, `${host.includes(':') ? `[${host}]` : host}:${port}`, this.#silence).then(
      (socket) => {
        const servername = options.servername || host;
        created(null, connect({ ...this.#tls, socket, servername }));
      },
      (error: Error) => created(error),
    );
    return undefined;
  }
}

function proxyTls(proxy: URL): ConnectionOptions {
  const { hostname, port, host } = proxy;
  return {
    ...certificatesFor(host),
    host: hostname,
    port: Number(port || 443),
    servername: hostname,
  };
}

function tunnel(proxy: URL, target: string, silence: number): Promise<Duplex> {
  const fail = (message: string) =>
    new RegistryError(`${target}: the proxy ${proxy.host} ${message}`);
  return new Promise((resolve, reject) => {
    const secure = proxy.protocol === 'https:';
    const request = (secure ? https : http).request({
      ...(secure ? proxyTls(proxy) : { host: proxy.hostname, port: proxy.port || 80 }),
      method: 'CONNECT',
      path: target,
      headers: { host: target, ...proxyHeaders(proxy) },
      agent: false,
    });
    request.setTimeout(silence, () =>
      request.destroy(fail(`has been silent for ${silence / 1000} seconds`)),
    );
    request.once('connect', ({ statusCode, statusMessage }, socket) => {
      if (statusCode === 200) {
        socket.setTimeout(0);
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(fail(`refuses: ${statusCode} ${statusMessage}`));
    });
    request.once('error', (error) =>
      reject(error instanceof RegistryError ? error : fail(`cannot be reached: ${reason(error)}`)),
    );
    request.end();
  });
}
