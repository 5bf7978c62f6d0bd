/**
 * scow is killed when it enters any of its system calls: init does not outlive it unless the
 * container was created, what `state` says is true, and a deletion by force removes the rest.
 */
import {
  bundleOf,
  cleanUp,
  ENGINES,
  eventually,
  newId,
  running,
  scow,
} from '../../helpers/scow.ts';
import { traces } from '../bad-input/left-behind.ts';
import { callsOf, forMany, killedAt } from './inject.ts';

afterEach(cleanUp);

/** Milliseconds that each command is killed again and again. */
const LONGEST = 4_000;

const SLEEP = running('sleep', '1000');

function statusOf(id: string): string {
  const { status, stdout, stderr } = scow(['state', id], { engine: 'bun' });
  if (status === 0) return JSON.parse(stdout).status;
  expect(stderr).toMatch(/^scow: container does not exist: .+\n$/);
  return 'none';
}

function deleteByForce(id: string): void {
  expect(scow(['delete', '--force', id], { engine: 'bun' })).toMatchObject({
    status: 0,
    stdout: '',
    stderr: '',
  });
}

/** A status holds when processes are there, or are not there, accordingly. */
async function isTrue(id: string, bundle: string, allowed: readonly string[]): Promise<string> {
  const processes = () => traces(id, bundle).processes.length;
  let status = '';
  // An init that was left alone needs a moment to notice.
  await eventually(() => {
    status = statusOf(id);
    return (
      status !== 'creating' && (status === 'created' || status === 'running') === processes() > 0
    );
  });
  expect(allowed).toContain(status);
  return status;
}

describe.each(ENGINES)('scow (%s) killed in the midst of', (engine) => {
  const call = (...args: string[]) => {
    const { status, stderr } = scow(args, { engine: 'bun' });
    expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
  };

  /** @param prepare what comes before the command; @param check what must hold after it */
  async function killAll(
    command: (bundle: string, id: string) => string[],
    prepare: (bundle: string, id: string) => void,
    check: (bundle: string, id: string) => Promise<void>,
    program = SLEEP,
  ): Promise<void> {
    const bundle = bundleOf(program);
    const first = newId();
    prepare(bundle, first);
    const calls = callsOf(command(bundle, first), engine);
    deleteByForce(first);
    expect(calls.length).toBeGreaterThan(5);
    const id = newId();
    const before = traces(id, bundle);
    await forMany(calls, LONGEST, async (when) => {
      prepare(bundle, id);
      const { stderr } = killedAt(when, command(bundle, id), engine);
      try {
        expect(stderr).toBe('');
        await check(bundle, id);
        deleteByForce(id);
        expect(traces(id, bundle)).toEqual(before);
      } catch (error) {
        throw new Error(`killed at call ${when}: ${(error as Error).message}`, { cause: error });
      }
    });
  }

  test('create', async () => {
    await killAll(
      (bundle, id) => ['create', '-b', bundle, id],
      () => {},
      async (bundle, id) => {
        const status = await isTrue(id, bundle, ['none', 'stopped', 'created']);
        if (status === 'created') call('start', id);
      },
    );
  }, 60_000);

  test('run in the foreground', async () => {
    await killAll(
      (bundle, id) => ['run', '-b', bundle, id],
      () => {},
      async (bundle, id) => {
        await isTrue(id, bundle, ['none', 'stopped']);
      },
      running('sleep', '0.1'),
    );
  }, 60_000);

  test('run --detach with hooks of all kinds', async () => {
    await killAll(
      (bundle, id) => ['run', '--detach', '-b', bundle, id],
      () => {},
      async (bundle, id) => {
        const status = await isTrue(id, bundle, ['none', 'stopped', 'created', 'running']);
        if (status === 'created') call('start', id);
      },
      (config) => {
        SLEEP(config);
        const hooks = [{ path: '/bin/true' }];
        const [prestart, createRuntime, createContainer] = [hooks, hooks, hooks];
        const inside = [{ path: '/bin/busybox', args: ['true'] }];
        const [startContainer, poststart, poststop] = [inside, hooks, hooks];
        const ofCreate = { prestart, createRuntime, createContainer };
        config.hooks = { ...ofCreate, startContainer, poststart, poststop };
      },
    );
  }, 60_000);

  test('start', async () => {
    await killAll(
      (_, id) => ['start', id],
      (bundle, id) => call('create', '-b', bundle, id),
      async (bundle, id) => {
        const status = await isTrue(id, bundle, ['created', 'running']);
        if (status === 'created') call('start', id);
        expect(statusOf(id)).toBe('running');
      },
    );
  }, 60_000);

  test.each([[[]], [['--detach']]])(
    'exec %j',
    async (flags) => {
      await killAll(
        (_, id) => ['exec', ...flags, id, 'true'],
        (bundle, id) => call('run', '--detach', '-b', bundle, id),
        async (bundle, id) => {
          await isTrue(id, bundle, ['running']);
          // What was not the program yet ends by itself, and the program does too.
          await eventually(() => traces(id, bundle).processes.length === 1);
        },
      );
    },
    60_000,
  );

  test('delete by force', async () => {
    await killAll(
      (_, id) => ['delete', '--force', id],
      (bundle, id) => call('run', '--detach', '-b', bundle, id),
      async (bundle, id) => {
        await isTrue(id, bundle, ['none', 'stopped', 'running']);
      },
    );
  }, 60_000);
});
