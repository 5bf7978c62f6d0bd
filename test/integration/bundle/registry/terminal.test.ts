import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundlerCommand } from '../../../helpers/bundler.ts';
import { FakeRegistry, refuse } from '../../../helpers/fake-registry.ts';
import { Terminal } from '../../../helpers/pty.ts';
import { ENGINES, type Engine } from '../../../helpers/scow.ts';

/** What a person at a terminal sees of registries. */

let home: string;
let registry: FakeRegistry;
let terminal: Terminal;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'scow-test-'));
  registry = await FakeRegistry.start();
  terminal = new Terminal();
});
afterEach(async () => {
  terminal.close();
  await registry.stop();
  rmSync(home, { recursive: true });
});

function run(engine: Engine, ...args: string[]) {
  const auth = { REGISTRY_AUTH_FILE: join(home, 'auth.json') };
  return terminal.run([...bundlerCommand(engine), '--store', join(home, 'store'), ...args], {
    env: { ...process.env, HOME: home, ...auth },
  });
}

describe.each(ENGINES)('under %s', (engine) => {
  test('login asks, shows no password, and leaves the terminal as it was', async () => {
    const wanted = `Basic ${Buffer.from('mé:pass word').toString('base64')}`;
    registry.intercept = (request, response) => {
      if (request.headers.authorization === wanted) return false;
      refuse(response, 401, 'UNAUTHORIZED', 'no', { 'www-authenticate': 'Basic realm="x"' });
      return true;
    };
    const before = terminal.settings();
    const stopped = run(engine, 'login', '--insecure', registry.host);
    await terminal.sees(/Username: /);
    terminal.type('someb\x03');
    expect(await stopped.ended).toEqual({ code: 1, signal: null });
    await terminal.sees(/nothing was entered/);
    expect(terminal.settings()).toBe(before);
    const { ended } = run(engine, 'login', '--insecure', registry.host);
    await terminal.sees(/Username: /);
    terminal.type('mx\x7fé\r');
    await terminal.sees(/Password: /);
    terminal.type('pass wort\bd\r');
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(terminal.look()).toContain('logged in as');
    expect(terminal.screen).not.toMatch(/pass wor|\*/);
    expect(terminal.settings()).toBe(before);
    const { auths } = JSON.parse(readFileSync(join(home, 'auth.json'), 'utf8'));
    expect(`Basic ${auths[registry.host].auth}`).toBe(wanted);
  });
});

test('a bar for what is under way, lines for what is done', async () => {
  const { layer } = registry.image('app', '1', 1_000_000);
  const bytes = registry.blobs.get(layer) as Buffer;
  registry.intercept = async (request, response) => {
    if (!request.url.includes(layer)) return false;
    response.writeHead(200, { 'content-length': String(bytes.length) });
    const piece = Math.ceil(bytes.length / 8);
    for (let at = 0; at < bytes.length; at += piece) {
      response.write(bytes.subarray(at, at + piece));
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    response.end();
    return true;
  };
  const { ended } = run('bun', 'pull', '--insecure', `${registry.host}/app:1`);
  await terminal.sees(/configuration [0-9a-f]{12}: \d+ B\r\n/);
  const [bar] = await terminal.sees(
    /layer 1 of 1 {5}\[#+\.+\] {2,3}\d+% {2}[0-9.]+ KiB of 97[0-9.]+ KiB\r\n/,
  );
  expect(bar.trimEnd().length).toBeLessThan(80);
  await terminal.sees(/layer 1 of 1 [0-9a-f]{12}: 97[0-9.]+ KiB\r\n/);
  await terminal.sees(/app:1: 97[0-9.]+ KiB\r\n/);
  // The bar goes where it was, and what follows takes its place.
  expect(terminal.screen).toContain('\r\x1b[1A\x1b[Jlayer 1 of 1 ');
  expect((await ended).code).toBe(0);
});
