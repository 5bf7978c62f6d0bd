/**
 * No resctrl filesystem is at hand: a directory with the files of one stands in for it. What the
 * kernel would refuse, and that a group cannot be removed by its files, is not seen here.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  changeSchemata,
  checkIntelRdt,
  joinGroups,
  makeGroups,
} from '../../../runtime/container/intel-rdt.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'scow-resctrl-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** A class of service that exists, as the kernel shows its schemata. */
function existing(name: string): string {
  const group = join(root, name);
  mkdirSync(join(group, 'mon_groups'), { recursive: true });
  writeFileSync(join(group, 'schemata'), '    MB:0= 20;1= 70\n    L3:0=00ff;1=1f\n');
  return group;
}

test('without a closID the container has a class of its own', () => {
  const groups = makeGroups({ l3CacheSchema: 'L3:0=f' }, 'box', root);
  const group = join(root, 'box');
  expect(groups).toEqual({ group, made: group });
  expect(readFileSync(join(group, 'schemata'), 'utf8')).toBe('L3:0=f\n');
  joinGroups(groups, 42);
  expect(readFileSync(join(group, 'tasks'), 'utf8')).toBe('42');
});

test('without a closID, but where its directory exists, that is left to whoever made it', () => {
  const group = existing('box');
  expect(makeGroups({}, 'box', root)).toEqual({ group });
});

test('a class that is missing is made, and stays for others', () => {
  const rdt = { closID: 'gold', memBwSchema: 'MB:0=10' };
  checkIntelRdt(rdt, root);
  expect(makeGroups(rdt, 'box', root)).toEqual({ group: join(root, 'gold') });
  expect(readFileSync(join(root, 'gold/schemata'), 'utf8')).toBe('MB:0=10\n');
});

test('a class that exists is joined, and its schemata are not written', () => {
  const group = existing('gold');
  const before = readFileSync(join(group, 'schemata'), 'utf8');
  const rdt = { closID: 'gold', l3CacheSchema: 'L3:1=1F;0=ff', schemata: ['MB:1=70'] };
  checkIntelRdt(rdt, root);
  expect(makeGroups(rdt, 'box', root)).toEqual({ group });
  expect(readFileSync(join(group, 'schemata'), 'utf8')).toBe(before);
});

test('«/» is the default class', () => {
  writeFileSync(join(root, 'schemata'), 'L3:0=ff\n');
  checkIntelRdt({ closID: '/' }, root);
  const groups = makeGroups({ closID: '/' }, 'box', root);
  joinGroups(groups, 7);
  expect(readFileSync(join(root, 'tasks'), 'utf8')).toBe('7');
  expect(groups.made).toBeUndefined();
});

test('an update changes the schemata of a class that is the container’s own, and of no other', () => {
  const own = makeGroups({ l3CacheSchema: 'L3:0=f' }, 'box', root);
  changeSchemata(own, { l3CacheSchema: 'L3:0=3', memBwSchema: 'MB:0=20' });
  // Of a file of the kernel's each write is a command; here the last one is left.
  expect(readFileSync(join(root, 'box/schemata'), 'utf8')).toBe('MB:0=20\n');
  existing('gold');
  for (const groups of [undefined, makeGroups({ closID: 'gold' }, 'box', root)])
    expect(() => changeSchemata(groups, { memBwSchema: 'MB:0=20' })).toThrow(
      /no class of service of its own.* {2}\[\/linux\/intelRdt\]$/,
    );
});

test('a monitoring group is the container’s own', () => {
  const group = existing('gold');
  const groups = makeGroups({ closID: 'gold', enableMonitoring: true }, 'box', root);
  const monitoring = join(group, 'mon_groups/box');
  expect(groups).toEqual({ group, monitoring, made: monitoring });
  joinGroups(groups, 9);
  for (const directory of [group, monitoring])
    expect(readFileSync(join(directory, 'tasks'), 'utf8')).toBe('9');
});

test.each([
  [
    { closID: 'none' },
    /^there is no class of service \S+\/none: .* {2}\[\/linux\/intelRdt\/closID\]$/,
  ],
  [
    { closID: 'gold', l3CacheSchema: 'L3:0=fe' },
    /^the class of service \S+\/gold exists and has ff for L3:0, not fe {2}\[\/linux\/intelRdt\/l3CacheSchema\]$/,
  ],
  [
    { closID: 'gold', schemata: ['MB:0=20', 'L2:0=1'] },
    /gold exists and has nothing for L2:0, not 1 {2}\[\/linux\/intelRdt\/schemata\/1\]$/,
  ],
])('%j is refused', (rdt, line) => {
  existing('gold');
  expect(() => checkIntelRdt(rdt, root)).toThrow(line);
  expect(existsSync(join(root, 'none'))).toBe(false);
});
