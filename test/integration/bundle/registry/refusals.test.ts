import { createServer as createTcpServer } from 'node:net';
import { type FakeRegistry, refuse } from '../../../helpers/fake-registry.ts';
import { freePort } from '../../../helpers/registry.ts';
import { failing, workplace } from './support.ts';

const place = workplace();
let registry: FakeRegistry;
beforeEach(() => {
  registry = place.registry;
});

test('a registry that is busy for the moment is asked again, when it says', async () => {
  const { manifest } = registry.image('busy', '1');
  const manifests = /\/manifests\/1$/;
  registry.intercept = failing(2, manifests, (_request, response) => {
    refuse(response, registry.seen.length === 1 ? 500 : 503, 'UNKNOWN', 'not now');
    return true;
  });
  expect(await place.pull('busy:1')).toMatchObject({ status: 0, stdout: `${manifest.digest}\n` });
  registry.reset();
  const times: number[] = [];
  registry.intercept = (request, response) => {
    if (!manifests.test(request.url) || times.push(Date.now()) > 1) return false;
    refuse(response, 429, 'TOOMANYREQUESTS', 'slow down', { 'retry-after': '2' });
    return true;
  };
  expect(await place.pull('busy:1')).toMatchObject({ status: 0 });
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
    const { stderr, ...rest } = await place.pull('no:1', '--retries', '1', ...flags);
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
  expect(await place.run(['pull', `127.0.0.1:${port}/x`])).toMatchObject({
    status: 1,
    stderr: `scow-bundle: 127.0.0.1:${port}: connection refused: nothing listens there (ECONNREFUSED)\n`,
  });
  expect((await place.run(['pull', 'registry.invalid/x', '--retries', '0'])).stderr).toMatch(
    /^scow-bundle: registry\.invalid: (?:there is no host of this name|the name cannot be resolved now) \(DNS: E[A-Z_]+\)\n$/,
  );
  expect((await place.run(['pull', `${registry.host}/x`])).stderr).toBe(
    `scow-bundle: ${registry.host}: no TLS: it may speak plain HTTP, which --insecure allows\n`,
  );
  const silent = createTcpServer(() => undefined).listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  const hung = `127.0.0.1:${(silent.address() as { port: number }).port}`;
  for (const flag of [[], ['--insecure']])
    expect((await place.run(['pull', '--timeout', '1', ...flag, `${hung}/x`])).stderr).toMatch(
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
  expect((await place.pull('hangs:1', '--timeout', '1')).stderr).toContain(
    `${registry.host} has been silent for 1 second`,
  );
  // Slow is not silent; and the byte that was kept of the last attempt, a wrong one, is fetched anew.
  const bytes = registry.blobs.get(layer) as Buffer;
  registry.intercept = async (request, response) => {
    if (!request.url.includes(layer)) return false;
    for (let at = 0; at < bytes.length; at += 40_000) {
      response.write(bytes.subarray(at, at + 40_000));
      await new Promise((resolve) => setTimeout(resolve, 600));
    }
    response.end();
    return true;
  };
  expect(await place.pull('hangs:1', '--timeout', '1')).toMatchObject({ status: 0 });
});

test('a redirect in the open, and one without end, are not followed', async () => {
  const { layer } = registry.image('leads', '1');
  registry.intercept = (request, response) => {
    if (!request.url.includes(layer)) return false;
    response.writeHead(302, { location: `/v2/leads/blobs/${layer}?again` }).end();
    return true;
  };
  expect((await place.pull('leads:1')).stderr).toContain(
    `${registry.host} leads on and on: 5 redirects in a row`,
  );
  registry.intercept = (request, response) => {
    if (!request.url.includes(layer)) return false;
    response.writeHead(302, { location: 'ftp://x/y' }).end();
    return true;
  };
  expect((await place.pull('leads:1')).stderr).toContain(`${registry.host} leads to ftp://x`);
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
  expect(await place.run(tags)).toEqual({ status: 0, stdout: '1.1\n1.9\n1.10\n', stderr: '' });
  next.x = '1.9';
  expect((await place.run(tags)).stderr).toBe(
    `scow-bundle: ${registry.host}: many/tags/list?n=1000 has no end\n`,
  );
});
