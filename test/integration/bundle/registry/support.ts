import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBundler } from '../../../helpers/bundler.ts';
import { FakeRegistry, type Intercept } from '../../../helpers/fake-registry.ts';
import type { Engine } from '../../../helpers/scow.ts';

/** A registry in memory that the tests of a file make misbehave, and a home for each test. */
class Workplace {
  registry!: FakeRegistry;
  /** The user's home, with nothing in it. */
  home = '';

  get store(): string {
    return join(this.home, 'store');
  }

  /** What commands must have, so that nothing of the machine is used. */
  get environment(): NodeJS.ProcessEnv {
    return { REGISTRY_AUTH_FILE: '', XDG_RUNTIME_DIR: this.home, HOME: this.home };
  }

  /** Runs a command with a store and credentials of its own. */
  run(args: readonly string[], { engine = 'bun' }: { engine?: Engine } = {}) {
    const env = this.environment;
    return startBundler(['--store', this.store, ...args], { engine, env }).result;
  }

  /** Pulls an image of the registry. */
  pull(name: string, ...flags: string[]) {
    return this.run(['pull', '--insecure', '--quiet', ...flags, `${this.registry.host}/${name}`]);
  }
}

/** Makes it for the tests of a file. */
export function workplace(): Workplace {
  const place = new Workplace();
  beforeAll(async () => {
    place.registry = await FakeRegistry.start();
  });
  afterAll(() => place.registry.stop());
  beforeEach(() => {
    place.registry.reset();
    place.home = mkdtempSync(join(tmpdir(), 'scow-test-'));
  });
  afterEach(() => rmSync(place.home, { recursive: true }));
  return place;
}

/** Lets the first so many requests of a kind fail. */
export function failing(count: number, path: RegExp, how: Intercept): Intercept {
  let left = count;
  return (request, response, self) =>
    path.test(request.url) && left-- > 0 ? how(request, response, self) : false;
}
