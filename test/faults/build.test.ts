/** Only the build for tests can inject faults. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  bundleOf,
  cleanUp,
  commandOf,
  ENGINES,
  newId,
  rootOf,
  running,
  scow,
} from '../helpers/scow.ts';
import { buildFaulty, faultyCommand } from './faulty.ts';

beforeAll(buildFaulty);
afterEach(cleanUp);

const MARK = 'SCOW_FAULT';

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

test('what users get has nothing of it', () => {
  const engine = join(process.cwd(), 'build/scow-engine');
  const files = [...filesBelow('dist'), engine, ...commandOf('bun')];
  expect(files.length).toBeGreaterThan(50);
  expect(files.filter((file) => readFileSync(file).includes(MARK))).toEqual([]);
  // It would be seen.
  for (const command of ENGINES.map(faultyCommand))
    expect(readFileSync(command.at(-1) as string).includes(MARK)).toBe(true);
});

test.each(ENGINES)('what users get obeys no such variable (%s)', (engine) => {
  const list = join(rootOf('scow'), '../list');
  const env = { ...process.env, SCOW_FAULT: 'scow:1:EIO', SCOW_FAULT_LIST: list };
  const { status, stderr } = scow(['run', '-b', bundleOf(running('true')), newId()], {
    engine,
    env,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(() => rmSync(list)).toThrow('ENOENT');
});
