import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseChallenges } from '../../../../bundle/registry/challenge.ts';
import { findCredentials } from '../../../../bundle/registry/credentials.ts';
import { mirrorsOf } from '../../../../bundle/registry/endpoint.ts';
import { wordsOf } from '../../../../bundle/registry/failure.ts';
import { pieces, skipped } from '../../../../bundle/registry/pieces.ts';
import { proxyFor } from '../../../../bundle/registry/proxy.ts';

const VARIABLES = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'https_proxy',
  'HOME',
  'XDG_CONFIG_HOME',
  'XDG_RUNTIME_DIR',
  'REGISTRY_AUTH_FILE',
  'DOCKER_CONFIG',
];
let home: string;
const saved = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]));
beforeEach(() => {
  for (const name of VARIABLES) delete process.env[name];
  home = mkdtempSync(join(tmpdir(), 'scow-test-'));
  process.env.HOME = home;
  process.env.XDG_RUNTIME_DIR = join(home, 'run');
});
afterEach(() => {
  rmSync(home, { recursive: true });
  for (const [name, value] of Object.entries(saved))
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
});

function write(path: string, value: object): void {
  mkdirSync(join(home, path, '..'), { recursive: true });
  writeFileSync(join(home, path), JSON.stringify(value));
}

test.each([
  [
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull"',
    [['bearer', 'https://auth.docker.io/token', 'registry.docker.io']],
  ],
  ['Basic realm="a, \\"b\\" = c"', [['basic', 'a, "b" = c', undefined]]],
  ['bearer REALM=x , service = y', [['bearer', 'x', 'y']]],
  [
    'Negotiate, Basic realm="x", Bearer realm="y",service="z"',
    [
      ['negotiate', undefined, undefined],
      ['basic', 'x', undefined],
      ['bearer', 'y', 'z'],
    ],
  ],
  ['', []],
])('the challenge %s', (header, expected) => {
  expect(
    parseChallenges(header).map(({ scheme, parameters }) => [
      scheme,
      parameters.get('realm'),
      parameters.get('service'),
    ]),
  ).toEqual(expected);
});

test.each([
  ['{"errors":[{"code":"DENIED","message":"no\\nway"},{"code":"X"}]}', 'no way; X'],
  ['{"details":"incorrect username or password"}', 'incorrect username or password'],
  ['{"message":"not found"}', 'not found'],
  ['plain\r\ntext', 'plain text'],
  ['<html>502</html>', ''],
  ['null', ''],
  [`"${'x'.repeat(400)}"`, ''],
])('what a registry says: %s', (body, words) => {
  expect(wordsOf(body)).toBe(words);
});

test('the proxy of the environment, and what is reached without it', () => {
  const through = (url: string) => proxyFor(new URL(url))?.href;
  expect(through('https://ghcr.io/')).toBeUndefined();
  process.env.https_proxy = 'proxy:3128';
  process.env.HTTP_PROXY = 'https://u:p@other';
  process.env.NO_PROXY =
    'example.com, .inner.lan,10.0.0.0/8,192.168.1.1, h:8080,[2001:db8::1],fd00::/8';
  expect(through('https://ghcr.io/')).toBe('http://proxy:3128/');
  expect(through('http://ghcr.io/')).toBe('https://u:p@other/');
  for (const direct of [
    ...[
      'https://example.com',
      'https://a.example.com:5000',
      'https://b.inner.lan',
      'http://10.9.8.7',
    ],
    ...[
      'https://192.168.1.1',
      'http://h:8080',
      'https://localhost:5000',
      'https://127.0.0.5',
      'https://[::1]',
    ],
    ...['https://[2001:db8::1]:5000', 'https://[fd12::1]'],
  ])
    expect([direct, through(direct)]).toEqual([direct, undefined]);
  for (const other of [
    'https://badexample.com',
    'https://inner.lan',
    'https://11.0.0.1',
    'http://h:81',
  ])
    expect([other, through(other)]).not.toEqual([other, undefined]);
  process.env.NO_PROXY = '*';
  expect(through('https://ghcr.io/')).toBeUndefined();
  process.env.NO_PROXY = '';
  process.env.https_proxy = 'socks5://proxy';
  expect(() => through('https://ghcr.io/')).toThrow(
    'HTTPS_PROXY: proxies are reached by http:// or https://, not by socks5://',
  );
});

test('credentials: the files in their order, the most specific entry, Docker’s old keys', async () => {
  const auth = (pair: string) => ({ auth: Buffer.from(pair).toString('base64') });
  expect(await findCredentials('quay.io', 'a/b')).toBeUndefined();
  write('.docker/config.json', {
    auths: {
      'https://index.docker.io/v1/': auth('hub:secret'),
      'quay.io': auth('docker:x'),
      'https://old.example.com/v1/': { ...auth('<token>:'), identitytoken: 'identity' },
      'empty.example.com': {},
    },
    credHelpers: { 'helped.example.com': 'not/a/name' },
  });
  write('run/containers/auth.json', {
    auths: { 'quay.io/a': auth('specific:p:q'), 'bad.io': { auth: 'AAAA' } },
  });
  const from = (path: string) => join(home, path);
  expect(await findCredentials('docker.io', 'library/alpine')).toEqual({
    from: from('.docker/config.json'),
    username: 'hub',
    password: 'secret',
  });
  expect(await findCredentials('quay.io', 'a/b')).toEqual({
    from: from('run/containers/auth.json'),
    username: 'specific',
    password: 'p:q',
  });
  expect(await findCredentials('quay.io', 'ab')).toMatchObject({ username: 'docker' });
  expect(await findCredentials('old.example.com', 'x')).toEqual({
    from: from('.docker/config.json'),
    identityToken: 'identity',
  });
  expect(await findCredentials('empty.example.com', 'x')).toBeUndefined();
  await expect(findCredentials('bad.io', 'x')).rejects.toThrow(
    '"auth" is not user:password in base64',
  );
  await expect(findCredentials('helped.example.com', 'x')).rejects.toThrow(
    '"not/a/name" is no name of a credential helper',
  );
  process.env.REGISTRY_AUTH_FILE = from('none');
  await expect(findCredentials('quay.io', 'x')).rejects.toThrow('which does not exist');
});

test('mirrors are told with their places, and mistakes with theirs', () => {
  const mirrors = (value: object) => {
    write('.config/scow/registries.json', { 'docker.io': value });
    return mirrorsOf({ registry: 'docker.io', repository: 'library/x', tag: '1' });
  };
  expect(mirrors({ mirrors: ['m.lan', { location: '[::1]:5000/a/b', insecure: true }] })).toEqual([
    { registry: 'm.lan', host: 'm.lan', repository: 'library/x', insecure: false },
    { registry: '[::1]:5000', host: '[::1]:5000', repository: 'a/b/library/x', insecure: true },
  ]);
  expect(() => mirrors({ mirrors: ['https://m.lan'] })).toThrow(
    '/docker.io/mirrors/0: "https://m.lan": want HOST[:PORT][/PATH]',
  );
  expect(() => mirrors({ mirrors: 'm.lan' })).toThrow('/docker.io/mirrors: want a list');
  expect(() => mirrors({ insecure: 1 })).toThrow('/docker.io/insecure: want true or false');
});

test('content in pieces', async () => {
  const content = async function* () {
    for (const part of ['ab', 'cdefg', '', 'h']) yield Buffer.from(part);
  };
  const texts = async (chunks: AsyncIterable<Uint8Array>) => {
    const found: string[] = [];
    for await (const chunk of chunks) found.push(Buffer.from(chunk).toString());
    return found;
  };
  expect(await texts(pieces(content(), 3))).toEqual(['abc', 'def', 'gh']);
  expect(await texts(pieces(content(), 4))).toEqual(['abcd', 'efgh']);
  expect(await texts(pieces(skipped(content(), 3), 100))).toEqual(['defgh']);
  expect(await texts(skipped(content(), 8))).toEqual([]);
});
