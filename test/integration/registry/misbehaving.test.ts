import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBundler } from '../../helpers/bundler.ts';
import { FakeRegistry, type Intercept, refuse } from '../../helpers/fake-registry.ts';
import { freePort } from '../../helpers/registry.ts';
import { ENGINES, type Engine } from '../../helpers/scow.ts';

let home: string;
let registry: FakeRegistry;
beforeAll(async () => {
  registry = await FakeRegistry.start();
});
afterAll(() => registry.stop());
beforeEach(() => {
  registry.reset();
  home = mkdtempSync(join(tmpdir(), 'scow-test-'));
});
afterEach(() => rmSync(home, { recursive: true }));

const store = () => join(home, 'store');
const environment = () => ({ REGISTRY_AUTH_FILE: '', XDG_RUNTIME_DIR: home, HOME: home });

/** Runs a command with a store and credentials of its own. */
function run(args: readonly string[], { engine = 'bun' }: { engine?: Engine } = {}) {
  return startBundler(['--store', store(), ...args], { engine, env: environment() }).result;
}

function pull(name: string, ...flags: string[]) {
  return run(['pull', '--insecure', '--quiet', ...flags, `${registry.host}/${name}`]);
}

/** Lets the first so many requests of a kind fail. */
function failing(count: number, path: RegExp, how: Intercept): Intercept {
  let left = count;
  return (request, response, self) =>
    path.test(request.url) && left-- > 0 ? how(request, response, self) : false;
}

describe.each(ENGINES)('under %s', (engine) => {
  test('a connection that breaks off, and one that ends early, go on where they were', async () => {
    const { manifest, layer } = registry.image('broken', '1', 3_000_000);
    const bytes = registry.blobs.get(layer) as Buffer;
    let count = 0;
    registry.intercept = (request, response) => {
      if (!request.url.includes(layer) || ++count > 3) return false;
      const from = Number(/\d+/.exec(request.headers.range ?? '0')?.[0]);
      const part = bytes.subarray(from, from + 500_000);
      // The third one ends as if all were well.
      if (count === 3) {
        response.writeHead(206, { 'content-range': `bytes ${from}-${bytes.length}/*` });
        response.end(part);
        return true;
      }
      response.writeHead(from === 0 ? 200 : 206, {
        'content-length': String(bytes.length - from),
        'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`,
      });
      response.write(part, () => setTimeout(() => response.destroy(), 50));
      return true;
    };
    const name = `${registry.host}/broken:1`;
    const { status, stdout, stderr } = await run(['pull', '--insecure', '--quiet', name], {
      engine,
    });
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: `${manifest.digest}\n`,
      stderr: '',
    });
    const ranges = registry.seen
      .filter(({ path }) => path.includes(layer))
      .map(({ headers }) => headers.range);
    expect(ranges).toEqual([undefined, ...Array(3).fill(expect.stringMatching(/^bytes=\d+-$/))]);
  });

  test.each(['SIGINT', 'SIGKILL'] as const)('after %s the next pull goes on', async (signal) => {
    const { manifest, layer } = registry.image('stopped', signal, 2_000_000);
    const bytes = registry.blobs.get(layer) as Buffer;
    registry.intercept = failing(1, new RegExp(layer), (_request, response) => {
      response.writeHead(200, { 'content-length': String(bytes.length) });
      response.write(bytes.subarray(0, 1_000_000));
      return true;
    });
    const args = ['--store', store(), 'pull', '--insecure', '--json'];
    const name = `${registry.host}/stopped:${signal}`;
    const first = startBundler([...args, name], { engine, env: environment() });
    const partial = join(store(), 'tmp', layer.replace(':', '-'));
    while (!existsSync(partial) || readFileSync(partial).length < 900_000)
      await new Promise((resolve) => setTimeout(resolve, 10));
    first.process.kill(signal);
    const { status, stderr } = await first.result;
    if (signal === 'SIGINT') {
      expect(status).toBe(130);
      expect(stderr).toBe('scow-bundle: stopped by SIGINT: the next pull goes on from here\n');
    }
    registry.seen = [];
    const second = await startBundler([...args, name], { engine, env: environment() }).result;
    expect(second).toMatchObject({ status: 0, stderr: '' });
    expect(second.stdout).toContain(manifest.digest);
    const [again] = registry.seen.filter(({ path }) => path.includes(layer));
    expect(Number(/^bytes=(\d+)-$/.exec(again?.headers.range ?? '')?.[1])).toBeGreaterThan(900_000);
    expect(readdirSync(join(store(), 'tmp')).filter((entry) => entry.includes('sha256'))).toEqual(
      [],
    );
  });

  test('credentials do not follow to another host, and a token is fetched once', async () => {
    const { layer } = registry.image('private/x', '1');
    const elsewhere: Record<string, unknown>[] = [];
    const storage = createServer((request, response) => {
      elsewhere.push(request.headers);
      response.end(registry.blobs.get(layer));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => storage.once('listening', resolve));
    const { port } = storage.address() as { port: number };
    const tokens: string[] = [];
    registry.intercept = (request, response) => {
      if (request.url.startsWith('/token')) {
        tokens.push(request.url, request.headers.authorization ?? '');
        response.end(JSON.stringify({ token: 'a.b.c', expires_in: 300 }));
        return true;
      }
      if (request.headers.authorization !== 'Bearer a.b.c') {
        const challenge = `Bearer realm="http://${registry.host}/token",service="the service",scope="repository:private/x:pull"`;
        refuse(response, 401, 'UNAUTHORIZED', 'wanted', { 'www-authenticate': challenge });
        return true;
      }
      if (!request.url.includes(layer)) return false;
      response.writeHead(307, { location: `http://127.0.0.1:${port}/elsewhere?signed` }).end();
      return true;
    };
    const login = ['login', '--insecure', '-u', 'me', '--password-stdin', registry.host];
    const piped = startBundler(['--store', store(), ...login], {
      engine,
      env: environment(),
      input: 'secret\n',
    });
    expect(await piped.result).toMatchObject({ status: 0, stderr: '' });
    tokens.length = 0;
    const words = ['pull', '--insecure', '-q', `${registry.host}/private/x:1`];
    expect(await run(words, { engine })).toMatchObject({ status: 0, stderr: '' });
    storage.close();
    expect(tokens).toEqual([
      '/token?service=the+service&scope=repository%3Aprivate%2Fx%3Apull&account=me',
      `Basic ${Buffer.from('me:secret').toString('base64')}`,
    ]);
    expect(elsewhere).toHaveLength(1);
    expect(elsewhere[0]).not.toHaveProperty('authorization');
    expect(JSON.stringify(elsewhere)).not.toContain('a.b.c');
  });
});

test('a byte that is not right, a length, and what is not a manifest are told', async () => {
  const { layer, manifest } = registry.image('wrong', '1', 100_000);
  const bytes = Buffer.from(registry.blobs.get(layer) as Buffer);
  const sends = (content: Buffer): Intercept => {
    return (request, response) => {
      if (!request.url.includes(layer)) return false;
      response.end(content);
      return true;
    };
  };
  const flipped = Buffer.from(bytes);
  flipped[5000] = (flipped[5000] as number) ^ 1;
  registry.intercept = sends(flipped);
  const corrupt = await pull('wrong:1');
  expect(corrupt).toMatchObject({ status: 1, stdout: '' });
  expect(corrupt.stderr).toMatch(
    new RegExp(
      `^scow-bundle: layer 1 of 1 \\(${layer}\\): the content in ${registry.host}/wrong:1 is not what this digest names, but sha256:[0-9a-f]+\n$`,
    ),
  );
  registry.intercept = sends(Buffer.concat([bytes, Buffer.from('more')]));
  expect((await pull('wrong:1')).stderr).toBe(
    `scow-bundle: layer 1 of 1 (${layer}): is longer than the ${bytes.length} bytes that its descriptor says\n`,
  );
  registry.intercept = sends(bytes.subarray(0, 60_000));
  expect((await pull('wrong:1', '--retries', '1')).stderr).toContain(
    `layer 1 of 1 (${layer}): ${registry.host} ended after`,
  );
  // Nothing of that is in the store, and nothing was left that spoils the next pull.
  registry.reset();
  expect(await pull('wrong:1')).toMatchObject({ status: 0, stdout: `${manifest.digest}\n` });
});

test('what a manifest is and what it is called must agree', async () => {
  const { manifest } = registry.image('types', '1');
  const stored = registry.manifests.get('types/1') as { bytes: Buffer };
  const as = async (type: string, bytes = stored.bytes, reference = '1') => {
    registry.intercept = (request, response) => {
      if (!request.url.includes('/manifests/')) return false;
      response.writeHead(200, { 'content-type': type }).end(bytes);
      return true;
    };
    return (await pull(`types${reference.startsWith('sha') ? '@' : ':'}${reference}`)).stderr;
  };
  const where = `${registry.host}: /v2/types/manifests/1`;
  expect(await as('text/html; charset=utf-8')).toBe(
    `scow-bundle: ${where} is no manifest: its Content-Type is "text/html": is a registry there?\n`,
  );
  expect(await as('application/vnd.oci.image.index.v1+json')).toBe(
    `scow-bundle: ${where} says that it is "application/vnd.oci.image.manifest.v1+json", but its Content-Type is application/vnd.oci.image.index.v1+json\n`,
  );
  expect(
    await as(
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      Buffer.from('{"schemaVersion":1}'),
    ),
  ).toContain("is an image in Docker's schema 1, which cannot be verified");
  const other = Buffer.from(`${stored.bytes} `);
  expect(await as('application/vnd.oci.image.manifest.v1+json', other, manifest.digest)).toContain(
    `the content is not what the digest ${manifest.digest} names`,
  );
});

test('a registry that is busy for the moment is asked again, when it says', async () => {
  const { manifest } = registry.image('busy', '1');
  const manifests = /\/manifests\/1$/;
  registry.intercept = failing(2, manifests, (_request, response) => {
    refuse(response, registry.seen.length === 1 ? 500 : 503, 'UNKNOWN', 'not now');
    return true;
  });
  expect(await pull('busy:1')).toMatchObject({ status: 0, stdout: `${manifest.digest}\n` });
  registry.reset();
  const times: number[] = [];
  registry.intercept = (request, response) => {
    if (!manifests.test(request.url) || times.push(Date.now()) > 1) return false;
    refuse(response, 429, 'TOOMANYREQUESTS', 'slow down', { 'retry-after': '2' });
    return true;
  };
  expect(await pull('busy:1')).toMatchObject({ status: 0 });
  expect((times[1] as number) - (times[0] as number)).toBeGreaterThanOrEqual(1990);
});

test('refusals are one line with host, request, status and what the registry says', async () => {
  registry.image('no', '1');
  const refused = async (
    status: number,
    headers: Record<string, string> = {},
    ...flags: string[]
  ) => {
    registry.intercept = (request, response) => {
      if (!request.url.includes('/manifests/')) return false;
      refuse(response, status, 'SOME_CODE', 'says\nthe registry', headers);
      return true;
    };
    const { stderr, ...rest } = await pull('no:1', '--retries', '1', ...flags);
    expect(rest).toMatchObject({ status: 1, stdout: '' });
    return stderr;
  };
  const { host } = registry;
  const answered = (what: string) =>
    `scow-bundle: ${host} answered ${what} to GET /v2/no/manifests/1: says the registry`;
  const login = `: log in first: scow-bundle login ${host}\n`;
  expect(await refused(401)).toBe(answered('401 Unauthorized') + login);
  expect(await refused(401, { 'www-authenticate': 'Basic realm="x"' })).toBe(
    answered('401 Unauthorized') + login,
  );
  expect(await refused(403)).toBe(answered('403 Forbidden') + login);
  expect(await refused(404)).toBe(
    `scow-bundle: there is no image ${host}/no:1: ${answered('404 Not Found').slice(13)}\n`,
  );
  expect(await refused(429)).toBe(`${answered('429 Too Many Requests')} (2 attempts)\n`);
  expect(await refused(500)).toBe(`${answered('500 Internal Server Error')} (2 attempts)\n`);
  expect(await refused(418)).toBe(`${answered("418 I'm a Teapot")}\n`);
  expect(await refused(503, { 'retry-after': '3600' })).toBe(
    `${answered('503 Service Unavailable')}: it asks to wait for 3600 seconds, try again then\n`,
  );
});

test('what is not there, not reached, or silent is told too', async () => {
  const port = await freePort();
  expect(await run(['pull', `127.0.0.1:${port}/x`])).toMatchObject({
    status: 1,
    stderr: `scow-bundle: 127.0.0.1:${port}: connection refused: nothing listens there (ECONNREFUSED)\n`,
  });
  expect((await run(['pull', 'registry.invalid/x', '--retries', '0'])).stderr).toMatch(
    /^scow-bundle: registry\.invalid: (?:there is no host of this name|the name cannot be resolved now) \(DNS: E[A-Z_]+\)\n$/,
  );
  expect((await run(['pull', `${registry.host}/x`])).stderr).toBe(
    `scow-bundle: ${registry.host}: no TLS: it may speak plain HTTP, which --insecure allows\n`,
  );
  const silent = createTcpServer(() => undefined).listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  const hung = `127.0.0.1:${(silent.address() as { port: number }).port}`;
  for (const flag of [[], ['--insecure']])
    expect((await run(['pull', '--timeout', '1', ...flag, `${hung}/x`])).stderr).toMatch(
      new RegExp(
        `^scow-bundle: ${hung} has been silent for 1 seconds? after GET /v2/.*: the connection hangs\n$`,
      ),
    );
  silent.close();
  const { layer } = registry.image('hangs', '1', 100_000);
  registry.intercept = (request, response) => {
    if (!request.url.includes(layer)) return false;
    response.writeHead(200, { 'content-length': '99' }).write('x');
    return true;
  };
  expect((await pull('hangs:1', '--timeout', '1')).stderr).toContain(
    `${registry.host} has been silent for 1 second`,
  );
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
  const config = join(home, '.config/scow');
  mkdirSync(config, { recursive: true });
  const settings = {
    [registry.host]: {
      mirrors: [dead, { location: `${mirror.host}/hub`, insecure: true }],
      insecure: true,
    },
  };
  writeFileSync(join(config, 'registries.json'), JSON.stringify(settings));
  const name = `${registry.host}/thing:1`;
  const { status, stdout, stderr } = await run(['pull', '-q', name]);
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
  expect(await run(['push', '-q', name, `${registry.host}/pushed:1`])).toMatchObject({ status: 0 });
  expect(registry.count('PUT', /pushed/)).toBe(2);
  expect(mirror.seen).toEqual([]);
  await mirror.stop();
  writeFileSync(join(config, 'registries.json'), '{"docker.io":{"mirors":[]}}');
  expect((await run(['pull', '-q', 'thing:1'])).stderr).toBe(
    `scow-bundle: ${config}/registries.json: /docker.io/mirors: unknown: there is insecure and mirrors\n`,
  );
});

test('an upload that breaks off, or is too much at once, goes on in chunks', async () => {
  const { manifest, layer } = registry.image('up', '1', 20_000_000);
  const size = (registry.blobs.get(layer) as Buffer).length;
  await pull('up:1');
  const push = async (to: string) => {
    registry.blobs.delete(layer);
    const words = ['push', '--insecure', '-q', `${registry.host}/up:1`, `${registry.host}/${to}`];
    return run(words);
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
  // 2. A connection that breaks after some of it.
  registry.reset();
  let broken = false;
  registry.intercept = async (request, response, self) => {
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
  expect(Number(/^\d+/.exec(second ?? '')?.[0])).toBeGreaterThan(0);
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
  expect(await run(['copy', '--insecure', '-q', from, to])).toMatchObject({ status: 0 });
  mounted();
  // The store knows by its names where blobs are.
  expect(await pull('from:1')).toMatchObject({ status: 0 });
  expect(await run(['push', '--insecure', '-q', from.slice(9), to])).toMatchObject({ status: 0 });
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
  mkdirSync(join(home, '.docker'));
  writeFileSync(join(home, '.docker/config.json'), JSON.stringify({ auths }));
  expect(await pull('tokens:1')).toEqual({ status: 0, stdout: `${manifest.digest}\n`, stderr: '' });
  expect(asked).toEqual(
    Array(2).fill(
      'POST /token service=s&grant_type=refresh_token&client_id=scow-bundle&scope=repository%3Atokens%3Apull&refresh_token=who+I+am',
    ),
  );
});

test('a redirect in the open, and one without end, are not followed', async () => {
  const { layer } = registry.image('leads', '1');
  registry.intercept = (request, response) => {
    if (!request.url.includes(layer)) return false;
    response.writeHead(302, { location: `/v2/leads/blobs/${layer}?again` }).end();
    return true;
  };
  expect((await pull('leads:1')).stderr).toContain(
    `${registry.host} leads on and on: 5 redirects in a row`,
  );
  registry.intercept = (request, response) => {
    if (!request.url.includes(layer)) return false;
    response.writeHead(302, { location: 'ftp://x/y' }).end();
    return true;
  };
  expect((await pull('leads:1')).stderr).toContain(`${registry.host} leads to ftp://x`);
});

test('a list of tags that comes in pages is put together, and one without end is not waited for', async () => {
  const pages: Record<string, string[] | null> = { '': ['1.10', '1.9'], '1.9': null, x: ['1.1'] };
  const next: Record<string, string> = { '': '1.9', '1.9': 'x' };
  registry.intercept = (request, response) => {
    const url = new URL(request.url, 'http://x');
    if (url.pathname !== '/v2/many/tags/list') return false;
    const last = url.searchParams.get('last') ?? '';
    const link = `</v2/many/tags/list?last=${next[last]}&n=1000>; rel="next"`;
    response.writeHead(200, next[last] === undefined ? {} : { link });
    response.end(JSON.stringify({ name: 'many', tags: pages[last] }));
    return true;
  };
  const tags = ['tags', '--insecure', `${registry.host}/many`];
  expect(await run(tags)).toEqual({ status: 0, stdout: '1.1\n1.9\n1.10\n', stderr: '' });
  next.x = '1.9';
  expect((await run(tags)).stderr).toBe(
    `scow-bundle: ${registry.host}: many/tags/list?n=1000 has no end\n`,
  );
});
