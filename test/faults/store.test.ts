/**
 * scow-bundle is killed before each system call by which it changes the store, or the disk is full
 * then: no image is lost, nothing is damaged, and the same command works the next time.
 */

import { spawn } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { checkStore } from '../../bundle/store/check.ts';
import { layerDirectory } from '../../bundle/store/files.ts';
import { prune } from '../../bundle/store/remove.ts';
import { openStore } from '../../bundle/store/store.ts';
import { digestOf, LayoutBuilder, tagged } from '../helpers/layout.ts';
import { home } from '../helpers/places/home-per-file.ts';
import { putImage } from '../helpers/stored.ts';
import {
  afterChanges,
  buildFaulty,
  type Ended,
  faultyCommand,
  KILL,
  type Point,
} from './faulty.ts';

/** Stores that are worked on side by side: mostly they wait for the disk. */
const AT_ONCE = 6;

/** A store with something of everything; each run works on a copy. */
let template: string;

beforeAll(async () => {
  buildFaulty();
  template = join(home, 'template');
  const store = openStore(template);
  const base = Buffer.alloc(2048, 'b');
  await putImage(store, 'app', { layers: [base], config: { author: 'old' } });
  await putImage(store, 'app', { layers: [base, Buffer.alloc(2048, 'a')] });
  await putImage(store, 'other', { layers: [base], config: { author: 'somebody' } });
  const layout = new LayoutBuilder(join(home, 'layout'));
  layout.finish(tagged(layout.image({ layers: [base, Buffer.alloc(2048, 'n')] }), 'new'));
  mkdirSync(join(layerDirectory(template, digestOf(base), 'full'), 'diff'), { recursive: true });
  writeFileSync(join(template, 'leases/process-of-a-dead-one'), `${digestOf(base)}\n`);
  mkdirSync(join(template, 'tmp/layer-01234567/diff'), { recursive: true, mode: 0o700 });
}, 60_000);

const COMMANDS: readonly (readonly string[])[] = [
  ['copy', '--quiet', 'oci:LAYOUT:new', 'app'],
  ['tag', 'other', 'again'],
  ['remove', 'app'],
  ['prune', '--all'],
];

function run(store: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const [command] = faultyCommand('bun');
  const words = args.map((word) => word.replace('LAYOUT', join(home, 'layout')));
  const child = spawn(command, ['--store', store, ...words], {
    argv0: 'scow-bundle',
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, stderr }));
  });
}

function copyOfTemplate(): string {
  const store = join(mkdtempSync(join(home, 'run-')), 'store');
  cpSync(template, store, { recursive: true, preserveTimestamps: true });
  return store;
}

/** The calls by which a command changes something. */
async function changesOf(args: readonly string[]): Promise<Point[]> {
  const list = join(home, 'points');
  writeFileSync(list, '');
  const ended = await run(copyOfTemplate(), args, { SCOW_FAULT_LIST: list });
  expect(ended).toMatchObject({ status: 0 });
  const points = readFileSync(list, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [place, number, ...call] = line.split(' ');
      return { place, number: Number(number), call: call.join(' ') } as Point;
    });
  // Locks end with their holder, and nothing is made by openat2 here.
  return afterChanges(points.filter(({ call }) => !/^(flock|openat2) /.test(`${call} `)));
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

/** One call goes wrong, then the command is run again. */
async function tryPoint(
  args: readonly string[],
  { place, number, call }: Point,
  outcome: string,
  after: readonly string[],
): Promise<void> {
  const store = copyOfTemplate();
  const ended = await run(store, args, { SCOW_FAULT: `${place}:${number}:${outcome}` });
  try {
    if (outcome === KILL) expect(ended.signal).toBe('SIGKILL');
    else if (ended.status !== 0) expect(ended.stderr).toMatch(/^scow-bundle: [^\n]+\n$/);
    await expectWhole(store, after);
    if (imagesOf(store).join() !== after.join() || args[0] !== 'remove')
      expect(await run(store, args)).toMatchObject({ status: 0, stderr: '' });
    expect(imagesOf(store)).toEqual(after);
    await expectClean(store);
  } catch (error) {
    throw new Error(`${outcome} at ${number}, ${call}: ${(error as Error).message}`);
  }
  rmSync(store, { recursive: true });
}

describe.each(COMMANDS.map((args) => [args.join(' '), args] as const))('%s', (_, args) => {
  test.each([KILL, 'ENOSPC'])(
    '%s',
    async (outcome) => {
      const points = await changesOf(args);
      expect(points.length).toBeGreaterThan(3);
      const done = copyOfTemplate();
      await run(done, args);
      const after = imagesOf(done);
      const work = async () => {
        for (let point = points.shift(); point !== undefined; point = points.shift())
          await tryPoint(args, point, outcome, after);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    },
    600_000,
  );
});
