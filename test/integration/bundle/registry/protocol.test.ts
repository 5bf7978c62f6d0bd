import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FakeRegistry, refuse } from '../../../helpers/fake-registry.ts';
import { MEDIA } from '../../../helpers/layout.ts';
import { freePort } from '../../../helpers/registry.ts';
import { workplace } from './support.ts';

const place = workplace();
let registry: FakeRegistry;
beforeEach(() => {
  registry = place.registry;
});

test('mirrors are asked first; where one fails the registry goes on; pushes go to the registry', async () => {
  const mirror = await FakeRegistry.start();
  const { manifest, layer } = mirror.image('hub/thing', '1', 1_000_000);
  const bytes = mirror.blobs.get(layer) as Buffer;
  registry.image('thing', '1', 1_000_000);
  mirror.intercept = (request, response) => {
    if (!request.url.includes(layer)) return false;
    if (request.headers.range !== undefined) refuse(response, 404, 'BLOB_UNKNOWN', 'gone');
    else {
      response.writeHead(200, { 'content-length': String(bytes.length) });
      response.write(bytes.subarray(0, 500_000), () => setTimeout(() => response.destroy(), 50));
    }
    return true;
  };
  const dead = `127.0.0.1:${await freePort()}`;
  const config = join(place.home, '.config/scow');
  mkdirSync(config, { recursive: true });
  const settings = {
    [registry.host]: {
      mirrors: [dead, { location: `${mirror.host}/hub`, insecure: true }],
      insecure: true,
    },
  };
  writeFileSync(join(config, 'registries.json'), JSON.stringify(settings));
  const name = `${registry.host}/thing:1`;
  const { status, stdout, stderr } = await place.run(['pull', '-q', name]);
  expect({ status, stdout }).toEqual({ status: 0, stdout: `${manifest.digest}\n` });
  const passed = (host: string, why: string) =>
    `scow-bundle: warning: the mirror ${host} is passed over: ${why}\n`;
  expect(stderr).toBe(
    passed(dead, `${dead}: connection refused: nothing listens there (ECONNREFUSED)`) +
      passed(
        mirror.host,
        `is missing: ${mirror.host} answered 404 Not Found to GET /v2/hub/thing/blobs/${layer}: gone`,
      ),
  );
  expect(registry.seen.filter(({ path }) => path !== '/v2/')).toMatchObject([
    { path: `/v2/thing/blobs/${layer}`, headers: { range: expect.stringMatching(/^bytes=[1-9]/) } },
  ]);
  registry.seen = [];
  mirror.seen = [];
  expect(await place.run(['push', '-q', name, `${registry.host}/pushed:1`])).toMatchObject({
    status: 0,
  });
  expect(registry.count('PUT', /pushed/)).toBe(2);
  expect(mirror.seen).toEqual([]);
  await mirror.stop();
  writeFileSync(join(config, 'registries.json'), '{"docker.io":{"mirors":[]}}');
  expect((await place.run(['pull', '-q', 'thing:1'])).stderr).toBe(
    `scow-bundle: ${config}/registries.json: /docker.io/mirors: unknown: there is insecure and mirrors\n`,
  );
});

test('an upload that breaks off, or is too much at once, goes on in chunks', async () => {
  const { manifest, layer } = registry.image('up', '1', 20_000_000);
  const size = (registry.blobs.get(layer) as Buffer).length;
  await place.pull('up:1');
  const push = async (to: string) => {
    registry.blobs.delete(layer);
    const words = ['push', '--insecure', '-q', `${registry.host}/up:1`, `${registry.host}/${to}`];
    return place.run(words);
  };
  // 1. A proxy that takes no large bodies.
  registry.intercept = (request, response) => {
    if (Number(request.headers['content-length'] ?? 0) <= 10_000_000) return false;
    response.writeHead(413, { connection: 'close' }).end();
    return true;
  };
  expect(await push('small:1')).toMatchObject({
    status: 0,
    stdout: `${manifest.digest}\n`,
    stderr: '',
  });
  const ranges = () =>
    registry.seen
      .filter(({ method }) => method === 'PATCH')
      .map((one) => one.headers['content-range']);
  expect(ranges()).toEqual([
    `0-${size - 1}`,
    '0-8388607',
    '8388608-16777215',
    `16777216-${size - 1}`,
  ]);
  expect(registry.blobs.has(layer)).toBe(true);
  // 2. A connection that breaks after some of it, to a registry that wants large chunks.
  registry.reset();
  let broken = false;
  registry.intercept = async (request, response, self) => {
    response.setHeader('oci-chunk-min-length', '9000000');
    if (request.method !== 'PATCH' || broken) return false;
    broken = true;
    const parts: Buffer[] = [];
    for await (const part of request) {
      parts.push(part as Buffer);
      if (parts.length > 100) break;
    }
    self.uploads.set(request.url.split('/').at(-1) as string, Buffer.concat(parts));
    response.destroy();
    return true;
  };
  expect(await push('broken:1')).toMatchObject({ status: 0, stderr: '' });
  expect(registry.blobs.has(layer)).toBe(true);
  const [, second] = ranges();
  const [from = 0, to = 0] = (second ?? '').split('-').map(Number);
  expect(from).toBeGreaterThan(0);
  expect(to - from + 1).toBe(9_000_000);
});

test('layers that only their maker may hand out are not sent', async () => {
  const config = registry.blob(
    Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'),
  );
  const digest = `sha256:${'5'.repeat(64)}`;
  const { digest: manifest } = registry.manifest('theirs', '1', {
    schemaVersion: 2,
    config: { mediaType: MEDIA.config, ...config },
    layers: [
      {
        mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
        ...{ digest, size: 100, urls: ['https://example.com/layer'] },
      },
    ],
  });
  const [from, to] = ['theirs', 'ours'].map((name) => `docker://${registry.host}/${name}:1`);
  expect(await place.run(['copy', '--insecure', '-q', from as string, to as string])).toMatchObject(
    { status: 0, stdout: `${manifest}\n`, stderr: '' },
  );
  expect(registry.seen.filter(({ path }) => path.includes(digest))).toEqual([]);
});

test('blobs of another repository of the same registry are mounted, not sent', async () => {
  registry.image('from', '1');
  registry.intercept = (request, response) => {
    if (request.method !== 'HEAD' || !request.url.startsWith('/v2/to/blobs/')) return false;
    response.writeHead(404).end();
    return true;
  };
  const [from, to] = ['from:1', 'to:1'].map((name) => `docker://${registry.host}/${name}`) as [
    string,
    string,
  ];
  const mounted = () => {
    expect(registry.count('POST', /^\/v2\/to\/blobs\/uploads\/\?mount=sha256.*&from=from$/)).toBe(
      2,
    );
    const sent = registry.seen.filter(
      ({ method, path }) => method !== 'GET' && /uploads\/./.test(path) && !path.includes('?mount'),
    );
    expect(sent).toEqual([]);
    registry.seen = [];
  };
  expect(await place.run(['copy', '--insecure', '-q', from, to])).toMatchObject({ status: 0 });
  mounted();
  // The store knows by its names where blobs are.
  expect(await place.pull('from:1')).toMatchObject({ status: 0 });
  expect(await place.run(['push', '--insecure', '-q', from.slice(9), to])).toMatchObject({
    status: 0,
  });
  mounted();
});

test('a token that is over is replaced; an identity token is sent as OAuth 2.0 has it', async () => {
  const { manifest } = registry.image('tokens', '1');
  const asked: string[] = [];
  let left = 0;
  registry.intercept = async (request, response) => {
    if (request.url.startsWith('/token')) {
      let body = '';
      for await (const part of request) body += part;
      asked.push(`${request.method} ${request.url} ${body}`);
      // Good for two requests.
      left = 2;
      response.end(JSON.stringify({ access_token: `t${asked.length}` }));
      return true;
    }
    if (request.headers.authorization === `Bearer t${asked.length}` && left-- > 0) return false;
    const challenge = `Bearer realm="http://${registry.host}/token",service="s"`;
    refuse(response, 401, 'UNAUTHORIZED', 'wanted', { 'www-authenticate': challenge });
    return true;
  };
  const auths = { [registry.host]: { identitytoken: 'who I am' } };
  mkdirSync(join(place.home, '.docker'));
  writeFileSync(join(place.home, '.docker/config.json'), JSON.stringify({ auths }));
  expect(await place.pull('tokens:1')).toEqual({
    status: 0,
    stdout: `${manifest.digest}\n`,
    stderr: '',
  });
  expect(asked).toEqual(
    Array(2).fill(
      'POST /token service=s&grant_type=refresh_token&client_id=scow-bundle&scope=repository%3Atokens%3Apull&refresh_token=who+I+am',
    ),
  );
});
