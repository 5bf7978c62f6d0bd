import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBundler } from '../../../helpers/bundler.ts';
import { blobsOf, forPlatform, LayoutBuilder, MEDIA, tagged } from '../../../helpers/layout.ts';
import { program } from '../../../helpers/program.ts';
import { type Authority, DockerRegistry, makeAuthority } from '../../../helpers/registry.ts';
import { ENGINES, type Engine } from '../../../helpers/scow.ts';
import { archive, file } from '../../../helpers/tar.ts';

/** Debian's docker-registry, as people run it: in the open, and with TLS and passwords. */

let home: string;
let authority: Authority;
let open: DockerRegistry;
let closed: DockerRegistry;
let layout: LayoutBuilder;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'scow-test-'));
  authority = makeAuthority(join(home, 'authority'));
  open = await DockerRegistry.start(join(home, 'open'));
  const users = { me: 'the password' };
  closed = await DockerRegistry.start(join(home, 'closed'), { users, tls: authority });
  layout = new LayoutBuilder(join(home, 'layout'));
  const noise = Buffer.from(
    Uint32Array.from({ length: 800_000 }, (_, i) => (i * 2654435761) >>> 3).buffer,
  );
  const one = layout.image({
    layers: [archive(file('a', 'a')), archive(file('noise', noise))],
  });
  const other = layout.image({
    layers: [archive(file('b', 'b'))],
    config: { architecture: 'arm64' },
  });
  const both = layout.index(forPlatform(one, 'linux/amd64'), forPlatform(other, 'linux/arm64'));
  layout.finish(tagged(one, 'one'), tagged(both, 'both'));
});
afterAll(async () => {
  await open.stop();
  await closed.stop();
  rmSync(home, { recursive: true });
});

let work: string;
beforeEach(() => {
  work = mkdtempSync(join(home, 'work-'));
});

function run(
  args: readonly string[],
  options: { engine?: Engine; input?: string; env?: NodeJS.ProcessEnv } = {},
) {
  const env = { HOME: work, XDG_RUNTIME_DIR: work, REGISTRY_AUTH_FILE: '', ...options.env };
  const words = ['--store', join(work, 'store'), ...args];
  return startBundler(words, { ...options, env }).result;
}

/** Runs a command that succeeds. @returns what it prints */
async function ok(args: readonly string[], options?: Parameters<typeof run>[1]): Promise<string> {
  const { status, stdout, stderr } = await run(args, options);
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.trim();
}

const skopeo = (...args: string[]) =>
  program('skopeo', args, { HOME: work, XDG_RUNTIME_DIR: work });

const rootOf = (path: string, tag: string): string =>
  JSON.parse(readFileSync(join(path, 'index.json'), 'utf8')).manifests.find(
    (entry: { annotations?: Record<string, string> }) =>
      entry.annotations?.['org.opencontainers.image.ref.name'] === tag,
  ).digest;

describe.each(ENGINES)('under %s', (engine) => {
  test('what is pushed skopeo pulls, and the other way round', async () => {
    const name = `${open.host}/${engine}/all`;
    const index = rootOf(layout.path, 'both');
    const pushed = ['copy', '--insecure', '--all', `oci:${layout.path}:both`, `${name}:1`];
    expect(await ok(pushed, { engine })).toBe(index);
    skopeo('copy', '--all', '--src-tls-verify=false', `docker://${name}:1`, `oci:${work}/theirs:x`);
    expect(blobsOf(join(work, 'theirs'))).toEqual(blobsOf(layout.path));
    skopeo(
      'copy',
      '--all',
      '--dest-tls-verify=false',
      `oci:${work}/theirs:x`,
      `docker://${name}:2`,
    );
    expect(await ok(['pull', '--insecure', '--all', '-q', `${name}:2`], { engine })).toBe(index);
    await ok(['copy', '--all', `${name}:2`, `oci:${work}/ours:x`], { engine });
    expect(blobsOf(join(work, 'ours'))).toEqual(blobsOf(layout.path));
    expect(rootOf(join(work, 'ours'), 'x')).toBe(index);
    // One platform, by its digest.
    const arm = ['copy', '--insecure', '--platform', 'linux/arm64', `docker://${name}@${index}`];
    const digest = await ok([...arm, `oci-archive:${work}/arm.tar:x`], { engine });
    expect(JSON.parse(skopeo('inspect', `oci-archive:${work}/arm.tar:x`))).toMatchObject({
      Architecture: 'arm64',
      Digest: digest,
    });
    expect((await ok(['tags', '--insecure', name], { engine })).split('\n')).toEqual(['1', '2']);
  });

  test('TLS of a private authority, passwords, and nothing that is known for long', async () => {
    const { host } = closed;
    const name = `${host}/${engine}/private:1`;
    const pushed = ['copy', `oci:${layout.path}:one`, name];
    const unknown = await run(pushed, { engine });
    expect(unknown).toMatchObject({ status: 1, stdout: '' });
    expect(unknown.stderr).toMatch(
      new RegExp(
        `^scow-bundle: ${host}: its certificate is signed by an authority that this machine does not know \\([A-Z_]+\\): put the authority's certificate into /etc/containers/certs\\.d/${host}/ca\\.crt\n$`,
      ),
    );
    const certificates = join(work, '.config/containers/certs.d', host);
    mkdirSync(certificates, { recursive: true });
    cpSync(authority.ca, join(certificates, 'ca.crt'));
    const refused = await run(pushed, { engine });
    expect(refused.stderr).toMatch(
      new RegExp(
        `: ${host} answered 401 Unauthorized to .*: log in first: scow-bundle login ${host}\n$`,
      ),
    );
    const login = ['login', '-u', 'me', '--password-stdin', host];
    const wrong = await run(login, { engine, input: 'not it\n' });
    expect(wrong.stderr).toMatch(
      new RegExp(
        `^scow-bundle: ${host} does not accept this user and password: ${host} answered 401`,
      ),
    );
    expect(existsSync(join(work, 'containers'))).toBe(false);
    await ok(login, { engine, input: 'the password\n' });
    const auth = join(work, 'containers/auth.json');
    expect(statSync(auth).mode & 0o777).toBe(0o600);
    expect(await ok(pushed, { engine })).toBe(rootOf(layout.path, 'one'));
    // skopeo reads the same file, and writes it.
    expect(JSON.parse(skopeo('inspect', '--tls-verify=false', `docker://${name}`)).Digest).toBe(
      rootOf(layout.path, 'one'),
    );
    expect(await ok(['pull', '-q', name], { engine })).toBe(rootOf(layout.path, 'one'));
    expect(await ok(['logout', host], { engine })).toBe(
      `${host}: logged out; removed from ${auth}`,
    );
    expect((await run(['pull', name], { engine })).stderr).toContain('log in first');
    expect((await run(['logout', host], { engine })).stderr).toBe(
      `scow-bundle: ${host}: there is no login\n`,
    );
  });

  test('through a proxy, which must not be told passwords', async () => {
    const seen: string[] = [];
    const proxy = createServer((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers['proxy-authorization']}`);
      response.writeHead(500).end();
    });
    proxy.on('connect', (request: IncomingMessage, socket) => {
      seen.push(`CONNECT ${request.url} ${request.headers['proxy-authorization']}`);
      const upstream = connect(Number(closed.host.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      for (const one of [socket, upstream]) one.on('error', () => undefined);
    });
    proxy.listen(0, '127.0.0.1');
    await new Promise((resolve) => proxy.once('listening', resolve));
    const { port } = proxy.address() as { port: number };
    const env = {
      https_proxy: `http://u:p@127.0.0.1:${port}`,
      http_proxy: `http://127.0.0.1:${port}`,
      SSL_CERT_FILE: authority.ca,
    };
    const basic = `Basic ${Buffer.from('u:p').toString('base64')}`;
    const login = ['login', '-u', 'me', '--password-stdin', 'registry.test:444'];
    await ok(login, { engine, env, input: 'the password' });
    const name = `registry.test:444/${engine}/proxied:1`;
    await ok(['copy', `oci:${layout.path}:one`, name], { engine, env });
    expect(await ok(['pull', '-q', name], { engine, env })).toBe(rootOf(layout.path, 'one'));
    expect(new Set(seen)).toEqual(new Set([`CONNECT registry.test:444 ${basic}`]));
    // This machine itself, and what NO_PROXY lists, are reached directly.
    seen.length = 0;
    const direct = { ...env, NO_PROXY: 'other,.invalid' };
    await ok(['tags', '--insecure', `${open.host}/${engine}/all`], { engine, env: direct });
    expect(
      (await run(['pull', '--retries', '0', 'registry.invalid/x'], { engine, env: direct })).stderr,
    ).toMatch(/DNS/);
    expect(seen).toEqual([]);
    proxy.closeAllConnections();
    proxy.close();
  });
});

test('a client certificate is shown to a registry that has one set up', async () => {
  const { host } = closed;
  const certificates = join(work, '.config/containers/certs.d', host);
  mkdirSync(certificates, { recursive: true });
  cpSync(authority.ca, join(certificates, 'ca.crt'));
  cpSync(authority.clientCert, join(certificates, 'client.cert'));
  expect((await run(['tags', `${host}/x`])).stderr).toBe(
    `scow-bundle: ${certificates}/client.cert has no key: client.key is missing beside it\n`,
  );
  cpSync(authority.clientKey, join(certificates, 'client.key'));
  expect((await run(['tags', `${host}/x`])).stderr).toContain('401 Unauthorized');
});

test('a credential helper keeps passwords, and is asked for them', async () => {
  const bin = join(work, 'bin');
  mkdirSync(bin);
  const kept = join(work, 'kept');
  // The protocol of docker-credential-*: get, store and erase, by standard input and output.
  const program = `#!/bin/sh
case $1 in
  store) cat > ${kept} ;;
  get) [ -e ${kept} ] && cat ${kept} || { echo 'credentials not found in native keychain'; exit 1; } ;;
  erase) rm ${kept} ;;
esac
`;
  writeFileSync(join(bin, 'docker-credential-test'), program);
  chmodSync(join(bin, 'docker-credential-test'), 0o755);
  mkdirSync(join(work, '.docker'));
  const config = { credHelpers: { [closed.host]: 'test' }, other: 'stays' };
  writeFileSync(join(work, '.docker/config.json'), JSON.stringify(config));
  const env = { PATH: `${bin}:${process.env.PATH}`, SSL_CERT_FILE: authority.ca };
  const repository = `${closed.host}/helped`;
  expect((await run(['tags', repository], { env })).stderr).toContain('log in first');
  await ok(['login', '-u', 'me', '--password-stdin', closed.host], { env, input: 'the password' });
  expect(JSON.parse(readFileSync(kept, 'utf8'))).toEqual({
    ServerURL: closed.host,
    Username: 'me',
    Secret: 'the password',
  });
  expect(existsSync(join(work, 'containers'))).toBe(false);
  expect((await run(['tags', repository], { env })).stderr).toContain('no repository helped');
  expect(await ok(['logout', closed.host], { env })).toContain('the credential helper test');
  expect(existsSync(kept)).toBe(false);
  writeFileSync(join(bin, 'docker-credential-test'), '#!/bin/sh\necho broken; exit 3\n');
  expect((await run(['tags', repository], { env })).stderr).toBe(
    `scow-bundle: docker-credential-test failed for ${closed.host}: broken\n`,
  );
});

test('what refers to an image is listed', async () => {
  const from = `${open.host}/mount/from:1`;
  await ok(['copy', '--insecure', `oci:${layout.path}:one`, from]);
  await ok(['copy', '--insecure', `docker://${from}`, `docker://${open.host}/mount/to:1`]);
  // Debian's registry has no interface for referrers: the client keeps the list in a tag.
  const digest = rootOf(layout.path, 'one');
  const subject = { mediaType: MEDIA.manifest, digest, size: statSync(layout.file(digest)).size };
  const proofs = new LayoutBuilder(join(work, 'proofs'));
  const empty = proofs.blob('application/vnd.oci.empty.v1+json', {});
  const proof = (text: string) =>
    proofs.blob(MEDIA.manifest, {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      artifactType: 'application/vnd.example.proof',
      config: empty,
      layers: [proofs.blob('text/plain', Buffer.from(text))],
      subject,
      annotations: { text },
    });
  const [a, b] = [proof('a'), proof('b')];
  proofs.finish(tagged(a, 'a'), tagged(b, 'b'));
  for (const tag of ['a', 'b', 'b'])
    await ok(['copy', '--insecure', `oci:${proofs.path}:${tag}`, `${open.host}/mount/to:${tag}`]);
  const listed = await ok([
    'referrers',
    '--insecure',
    '--format',
    'json',
    `${open.host}/mount/to:1`,
  ]);
  expect(JSON.parse(listed)).toEqual({
    subject: digest,
    referrers: [a, b].map((one, i) => ({
      ...one,
      artifactType: 'application/vnd.example.proof',
      annotations: { text: 'ab'[i] },
    })),
  });
  expect(await ok(['tags', '--insecure', `${open.host}/mount/to`])).toContain(
    `sha256-${digest.slice(7)}`,
  );
  // They go along to a layout, and from there to another repository.
  const kept = join(work, 'kept');
  const copy = ['copy', '--quiet', '--insecure', '--referrers'];
  await ok([...copy, `docker://${open.host}/mount/to:1`, `oci:${kept}:1`]);
  await ok([...copy, `oci:${kept}:1`, `docker://${open.host}/mount/third:1`]);
  const again = await ok([
    'referrers',
    '--insecure',
    '--format',
    'json',
    `${open.host}/mount/third:1`,
  ]);
  expect(JSON.parse(again)).toEqual(JSON.parse(listed));
  const refused = await run([...copy, `docker://${open.host}/mount/to:1`, 'in-the-store']);
  expect(refused).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('in-the-store: what refers to an image is not kept here'),
  });
});

test('credentials are not sent in the open because a registry says so', async () => {
  const seen: string[] = [];
  const tokens = createServer((request, response) => {
    seen.push(request.headers.authorization ?? 'nobody');
    response.end('{"token":"x"}');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => tokens.once('listening', resolve));
  const realm = `http://127.0.0.1:${(tokens.address() as { port: number }).port}`;
  const registry = await DockerRegistry.start(join(work, 'tokens'), { tls: authority, realm });
  const env = { SSL_CERT_FILE: authority.ca };
  // A token for anybody is no secret.
  expect((await run(['tags', `${registry.host}/x`], { env })).stderr).toMatch(
    /answered 401 Unauthorized to GET \/v2\/x\/tags\/list: .*: log in first: scow-bundle login/,
  );
  expect(new Set(seen)).toEqual(new Set(['nobody']));
  const login = ['login', '-u', 'me', '--password-stdin', registry.host];
  expect((await run(login, { env, input: 'secret' })).stderr).toBe(
    `scow-bundle: ${registry.host} wants credentials to be sent to ${realm}, in the open: --insecure allows it\n`,
  );
  expect(new Set(seen)).toEqual(new Set(['nobody']));
  await registry.stop();
  tokens.close();
});
