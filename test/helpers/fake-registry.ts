import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { Descriptor, Digest } from '../../schemas/image.ts';
import { MEDIA } from './layout.ts';
import { archive, file } from './tar.ts';

/** What a request was like. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** Takes a request away from the registry. @returns whether it did */
export type Intercept = (
  request: IncomingMessage & { url: string },
  response: ServerResponse,
  registry: FakeRegistry,
) => boolean | Promise<boolean>;

/** A small registry in memory, whose tests make it misbehave. */
export class FakeRegistry {
  readonly blobs = new Map<string, Buffer>();
  /** By `REPOSITORY/REFERENCE`. */
  readonly manifests = new Map<string, { type: string; bytes: Buffer }>();
  readonly uploads = new Map<string, Buffer>();
  seen: Seen[] = [];
  intercept: Intercept = () => false;
  host = '';
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#serve(request as IncomingMessage & { url: string }, response).catch((error) => {
        response.destroy(error);
      });
    });
  }

  static async start(): Promise<FakeRegistry> {
    const registry = new FakeRegistry();
    registry.#server.listen(0, '127.0.0.1');
    await once(registry.#server, 'listening');
    registry.host = `127.0.0.1:${(registry.#server.address() as { port: number }).port}`;
    return registry;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  reset(): void {
    this.intercept = () => false;
    this.seen = [];
  }

  /** How many requests there were of a kind. */
  count(method: string, path: RegExp): number {
    return this.seen.filter((one) => one.method === method && path.test(one.path)).length;
  }

  blob(bytes: Buffer): { digest: Digest; size: number } {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { digest, size: bytes.length };
  }

  manifest(
    repository: string,
    tag: string,
    value: object,
    type: string = MEDIA.manifest,
  ): Descriptor {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = digestOf(bytes);
    for (const reference of [tag, digest])
      this.manifests.set(`${repository}/${reference}`, { type, bytes });
    return { mediaType: type, digest, size: bytes.length };
  }

  /** Adds an image of one layer. @param size about how many bytes, which do not compress */
  image(repository: string, tag: string, size = 100): { manifest: Descriptor; layer: Digest } {
    const noise = createHash('shake256', { outputLength: size }).update(tag).digest();
    const tar = archive(file('noise', noise));
    const layer = this.blob(gzipSync(tar, { level: 1 }));
    const config = this.blob(
      Buffer.from(
        JSON.stringify({
          architecture: 'amd64',
          os: 'linux',
          rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
        }),
      ),
    );
    const manifest = this.manifest(repository, tag, {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, ...config },
      layers: [{ mediaType: MEDIA.gzip, ...layer }],
    });
    return { manifest, layer: layer.digest };
  }

  async #serve(
    request: IncomingMessage & { url: string },
    response: ServerResponse,
  ): Promise<void> {
    const url = new URL(request.url, `http://${this.host}`);
    const { method = '', headers } = request;
    this.seen.push({ method, path: request.url, headers });
    if (await this.intercept(request, response, this)) return;
    if (url.pathname === '/v2/') return void response.end('{}');
    const [, repository = '', kind, reference = ''] =
      /^\/v2\/(.+?)\/(manifests|blobs\/uploads|blobs|referrers)\/?([^/]*)$/.exec(url.pathname) ??
      [];
    if (kind === 'manifests') return this.#manifests(request, response, repository, reference);
    if (kind === 'blobs/uploads')
      return this.#uploads(request, response, repository, url, reference);
    if (kind === 'blobs') return this.#blob(request, response, reference);
    refuse(response, 404, 'UNSUPPORTED', 'no such thing');
  }

  async #manifests(
    request: IncomingMessage,
    response: ServerResponse,
    repository: string,
    reference: string,
  ): Promise<void> {
    if (request.method === 'PUT') {
      const bytes = await bodyOf(request);
      const stored = { type: request.headers['content-type'] ?? '', bytes };
      for (const name of [reference, digestOf(bytes)])
        this.manifests.set(`${repository}/${name}`, stored);
      response.writeHead(201).end();
      return;
    }
    const found = this.manifests.get(`${repository}/${reference}`);
    if (found === undefined) return refuse(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown');
    response.writeHead(200, {
      'content-type': found.type,
      'content-length': String(found.bytes.length),
      'docker-content-digest': digestOf(found.bytes),
    });
    response.end(request.method === 'HEAD' ? undefined : found.bytes);
  }

  #blob(request: IncomingMessage, response: ServerResponse, digest: string): void {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) {
      refuse(response, 404, 'BLOB_UNKNOWN', 'blob unknown');
      return;
    }
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(request.headers.range === undefined ? 200 : 206, {
      'content-length': String(bytes.length - from),
      'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`,
    });
    response.end(request.method === 'HEAD' ? undefined : bytes.subarray(from));
  }

  async #uploads(
    request: IncomingMessage,
    response: ServerResponse,
    repository: string,
    url: URL,
    id: string,
  ): Promise<void> {
    if (request.method === 'POST') {
      const mount = url.searchParams.get('mount');
      if (mount !== null && this.blobs.has(mount)) return void response.writeHead(201).end();
      const begun = randomUUID();
      this.uploads.set(begun, Buffer.alloc(0));
      response.writeHead(202, { location: `/v2/${repository}/blobs/uploads/${begun}` }).end();
      return;
    }
    const before = this.uploads.get(id);
    if (before === undefined) return refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN', 'unknown upload');
    const body = await bodyOf(request);
    const bytes = Buffer.concat([before, body]);
    const [, from] = /^(\d+)-/.exec(request.headers['content-range'] ?? '') ?? [];
    if (from !== undefined && Number(from) !== before.length)
      return refuse(response, 416, 'RANGE_INVALID', 'wrong offset');
    this.uploads.set(id, bytes);
    const headers = {
      location: `/v2/${repository}/blobs/uploads/${id}`,
      range: `0-${Math.max(0, bytes.length - 1)}`,
    };
    if (request.method === 'GET') return void response.writeHead(204, headers).end();
    if (request.method === 'PATCH') return void response.writeHead(202, headers).end();
    const digest = url.searchParams.get('digest') ?? '';
    if (digestOf(bytes) !== digest) return refuse(response, 400, 'DIGEST_INVALID', 'wrong digest');
    this.blobs.set(digest, bytes);
    response.writeHead(201, { location: `/v2/${repository}/blobs/${digest}` }).end();
  }
}

/** Answers as registries do that refuse. */
export function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}

function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
