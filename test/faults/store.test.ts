/**
 * scow-bundle is killed before each system call by which it changes the store, or the disk is full
 * then: no image is lost, nothing is damaged, and the same command works the next time.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkStore } from '../../bundle/store/check.ts';
import { layerDirectory } from '../../bundle/store/files.ts';
import { prune } from '../../bundle/store/remove.ts';
import { openStore } from '../../bundle/store/store.ts';
import { digestOf } from '../helpers/layout.ts';
import { putImage } from '../helpers/stored.ts';
import { afterChanges, buildFaulty, faultyCommand, KILL, type Point } from './faulty.ts';

let home: string;
/** A store with something of everything; each run works on a copy. */
let template: string;

beforeAll(async () => {
  buildFaulty();
  home = mkdtempSync(join(tmpdir(), 'scow-test-'));
  template = join(home, 'template');
  const store = openStore(template);
  const base = Buffer.alloc(2048, 'b');
  await putImage(store, 'app', { layers: [base], config: { author: 'old' } });
  await putImage(store, 'app', { layers: [base, Buffer.alloc(2048, 'a')] });
  await putImage(store, 'other', { layers: [base], config: { author: 'somebody' } });
  mkdirSync(join(layerDirectory(template, digestOf(base), 'full'), 'diff'), { recursive: true });
  writeFileSync(join(template, 'leases/process-of-a-dead-one'), `${digestOf(base)}\n`);
  mkdirSync(join(template, 'tmp/layer-01234567/diff'), { recursive: true, mode: 0o700 });
}, 60_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const COMMANDS: readonly (readonly string[])[] = [
  ['tag', 'other', 'again'],
  ['remove', 'app'],
  ['prune', '--all'],
];

function run(store: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const [command] = faultyCommand('bun');
  const { status, signal, stderr } = spawnSync(command, ['--store', store, ...args], {
    argv0: 'scow-bundle',
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, signal, stderr };
}

function copyOfTemplate(): string {
  const store = join(mkdtempSync(join(home, 'run-')), 'store');
  cpSync(template, store, { recursive: true, preserveTimestamps: true });
  return store;
}

/** The calls by which a command changes something. */
function changesOf(args: readonly string[]): Point[] {
  const list = join(home, 'points');
  writeFileSync(list, '');
  expect(run(copyOfTemplate(), args, { SCOW_FAULT_LIST: list })).toMatchObject({ status: 0 });
  const points = readFileSync(list, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [place, number, ...call] = line.split(' ');
      return { place, number: Number(number), call: call.join(' ') } as Point;
    });
  return afterChanges(points);
}

const imagesOf = (store: string) =>
  openStore(store)
    .references()
    .map(({ name, descriptor }) => `${name} ${descriptor.digest}`);

/** Nothing is damaged, and the images are those of before or of after. */
async function expectWhole(store: string, after: readonly string[]): Promise<void> {
  const { problems } = await checkStore(openStore(store), false);
  expect(problems).toEqual([]);
  expect([imagesOf(template), after]).toContainEqual(imagesOf(store));
}

/** The next one to clean up leaves nothing that is not needed. */
async function expectClean(store: string): Promise<void> {
  await prune(openStore(store), { all: false, dryRun: false });
  expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  expect(readdirSync(join(store, 'leases'))).toEqual([]);
  const report = await checkStore(openStore(store), false);
  expect(report).toMatchObject({ problems: [], unused: { blobs: 0, layers: 0 } });
}

describe.each(COMMANDS.map((args) => [args.join(' '), args] as const))('%s', (_, args) => {
  test.each([KILL, 'ENOSPC'])(
    '%s',
    async (outcome) => {
      const points = changesOf(args);
      expect(points.length).toBeGreaterThan(3);
      const done = copyOfTemplate();
      run(done, args);
      const after = imagesOf(done);
      for (const { place, number, call } of points) {
        const store = copyOfTemplate();
        const ended = run(store, args, { SCOW_FAULT: `${place}:${number}:${outcome}` });
        try {
          if (outcome === KILL) expect(ended.signal).toBe('SIGKILL');
          else if (ended.status !== 0) expect(ended.stderr).toMatch(/^scow-bundle: [^\n]+\n$/);
          await expectWhole(store, after);
          if (imagesOf(store).join() !== after.join() || args[0] !== 'remove')
            expect(run(store, args)).toMatchObject({ status: 0, stderr: '' });
          expect(imagesOf(store)).toEqual(after);
          await expectClean(store);
        } catch (error) {
          throw new Error(`${outcome} at ${number}, ${call}: ${(error as Error).message}`);
        }
        rmSync(store, { recursive: true });
      }
    },
    300_000,
  );
});
