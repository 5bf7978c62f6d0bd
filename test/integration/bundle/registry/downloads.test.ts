import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { startBundler } from '../../../helpers/bundler.ts';
import { type FakeRegistry, type Intercept, refuse } from '../../../helpers/fake-registry.ts';
import { ENGINES } from '../../../helpers/scow.ts';
import { failing, workplace } from './support.ts';

const place = workplace();
let registry: FakeRegistry;
beforeEach(() => {
  registry = place.registry;
});

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
    const { status, stdout, stderr } = await place.run(['pull', '--insecure', '--quiet', name], {
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
    const args = ['--store', place.store, 'pull', '--insecure', '--json'];
    const name = `${registry.host}/stopped:${signal}`;
    const first = startBundler([...args, name], { engine, env: place.environment });
    const partial = join(place.store, 'tmp', layer.replace(':', '-'));
    while (!existsSync(partial) || readFileSync(partial).length < 900_000)
      await new Promise((resolve) => setTimeout(resolve, 10));
    first.process.kill(signal);
    const { status, stderr } = await first.result;
    if (signal === 'SIGINT') {
      expect(status).toBe(130);
      expect(stderr).toBe('scow-bundle: stopped by SIGINT: the next pull goes on from here\n');
    }
    registry.seen = [];
    const second = await startBundler([...args, name], { engine, env: place.environment }).result;
    expect(second).toMatchObject({ status: 0, stderr: '' });
    expect(second.stdout).toContain(manifest.digest);
    const [again] = registry.seen.filter(({ path }) => path.includes(layer));
    expect(Number(/^bytes=(\d+)-$/.exec(again?.headers.range ?? '')?.[1])).toBeGreaterThan(900_000);
    expect(
      readdirSync(join(place.store, 'tmp')).filter((entry) => entry.includes('sha256')),
    ).toEqual([]);
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
    const piped = startBundler(['--store', place.store, ...login], {
      engine,
      env: place.environment,
      input: 'secret\n',
    });
    expect(await piped.result).toMatchObject({ status: 0, stderr: '' });
    tokens.length = 0;
    const words = ['pull', '--insecure', '-q', `${registry.host}/private/x:1`];
    expect(await place.run(words, { engine })).toMatchObject({ status: 0, stderr: '' });
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
  const corrupt = await place.pull('wrong:1');
  expect(corrupt).toMatchObject({ status: 1, stdout: '' });
  expect(corrupt.stderr).toMatch(
    new RegExp(
      `^scow-bundle: layer 1 of 1 \\(${layer}\\): the content in ${registry.host}/wrong:1 is not what this digest names, but sha256:[0-9a-f]+\n$`,
    ),
  );
  registry.intercept = sends(Buffer.concat([bytes, Buffer.from('more')]));
  expect((await place.pull('wrong:1')).stderr).toBe(
    `scow-bundle: layer 1 of 1 (${layer}): is longer than the ${bytes.length} bytes that its descriptor says\n`,
  );
  registry.intercept = sends(bytes.subarray(0, 60_000));
  expect((await place.pull('wrong:1', '--retries', '1')).stderr).toContain(
    `layer 1 of 1 (${layer}): ${registry.host} ended after`,
  );
  // Nothing of that is in the store, and nothing was left that spoils the next pull.
  registry.reset();
  expect(await place.pull('wrong:1')).toMatchObject({ status: 0, stdout: `${manifest.digest}\n` });
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
    return (await place.pull(`types${reference.startsWith('sha') ? '@' : ':'}${reference}`)).stderr;
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
