import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Capabilities } from '../../../schemas/runtime-config.ts';
import {
  both,
  type Edit,
  giveToMapped,
  mapped,
  portable,
  processOf,
} from '../../helpers/container.ts';
import { bundleOf, cleanUp, ENGINES, running, testDirectory } from '../../helpers/scow.ts';
import { type Runtime, shown, startedFrom } from './support.ts';

afterEach(cleanUp);

const CHOWN = 1n << 0n;
const NET_ADMIN = 1n << 12n;
const NET_RAW = 1n << 13n;
const NONE = 0n;

/** The capabilities of the container's own process. */
const GIVEN: Capabilities = {
  bounding: ['CAP_CHOWN', 'CAP_NET_RAW'],
  effective: ['CAP_CHOWN', 'CAP_NET_RAW'],
  permitted: ['CAP_CHOWN', 'CAP_NET_RAW'],
};
const BOUNDING = CHOWN | NET_RAW;

const INHERITABLE: Capabilities = { ...GIVEN, inheritable: ['CAP_CHOWN'], ambient: ['CAP_CHOWN'] };

const withCapabilities =
  (capabilities: Capabilities): Edit =>
  (config) => {
    processOf(config).capabilities = structuredClone(capabilities) as never;
  };

function containerOf(runtime: Runtime, ...edits: readonly Edit[]): string {
  const bundle = bundleOf(both(portable, running('sleep', '1000'), ...edits));
  giveToMapped(bundle);
  return startedFrom(runtime, bundle);
}

/** The sets of a program that is executed: inheritable, permitted, effective, bounding, ambient. */
function sets(runtime: Runtime, id: string, flags: readonly string[]): readonly bigint[] {
  const lines = shown(runtime, id, ['grep', '^Cap', '/proc/self/status'], flags);
  return lines.map((line) => BigInt(`0x${line.split('\t')[1]}`));
}

type Row = readonly [flags: readonly string[], sets: readonly bigint[]];

/** Executing a program as root permits all of the bounding set, capabilities(7). */
const ROWS: readonly Row[] = [
  [[], [NONE, BOUNDING, BOUNDING, BOUNDING, NONE]],
  [
    ['--user', '1000'],
    [NONE, NONE, NONE, BOUNDING, NONE],
  ],
  [
    ['--cap', 'CAP_NET_ADMIN'],
    [NONE, BOUNDING | NET_ADMIN, BOUNDING | NET_ADMIN, BOUNDING | NET_ADMIN, NONE],
  ],
  [
    ['--cap', 'CAP_NET_ADMIN', '--user', '1000'],
    [NONE, NONE, NONE, BOUNDING | NET_ADMIN, NONE],
  ],
];

const RUNTIMES: readonly Runtime[] = [...ENGINES, 'runc'];

describe.each(RUNTIMES)('a program that %s executes in a container', (runtime) => {
  test.each([
    ['of root', both()],
    ['with a user namespace', mapped],
  ])('%s has no capability that was not asked for', (_, edit) => {
    const id = containerOf(runtime, edit, withCapabilities(GIVEN));
    for (const [flags, expected] of ROWS)
      expect({ flags, sets: sets(runtime, id, flags) }).toEqual({ flags, sets: expected });
  });

  test('with inheritable capabilities has these, and no more of them', () => {
    const id = containerOf(runtime, withCapabilities(INHERITABLE));
    const expected: readonly Row[] = [
      [[], [CHOWN, BOUNDING, BOUNDING, BOUNDING, CHOWN]],
      [
        ['--user', '1000'],
        [CHOWN, CHOWN, CHOWN, BOUNDING, CHOWN],
      ],
      [
        ['--cap', 'CAP_NET_ADMIN', '--user', '1000'],
        [CHOWN, CHOWN, CHOWN, BOUNDING | NET_ADMIN, CHOWN],
      ],
    ];
    for (const [flags, values] of expected)
      expect({ flags, sets: sets(runtime, id, flags) }).toEqual({ flags, sets: values });
  });

  test('by a file has those of the file, or of the container where it is silent', () => {
    const id = containerOf(runtime, withCapabilities(GIVEN));
    const file = join(testDirectory(), 'process.json');
    const by = (user: number, capabilities?: Capabilities) => {
      const args = ['grep', '^Cap', '/proc/self/status'];
      const process = { args, cwd: '/', user: { uid: user, gid: user }, env: ['PATH=/bin'] };
      writeFileSync(file, JSON.stringify({ ...process, ...(capabilities && { capabilities }) }));
      const lines = shown(runtime, id, [], ['--process', file]);
      return lines.map((line) => BigInt(`0x${line.split('\t')[1]}`));
    };
    expect(by(0)).toEqual([NONE, BOUNDING, BOUNDING, BOUNDING, NONE]);
    expect(by(1000)).toEqual([NONE, NONE, NONE, BOUNDING, NONE]);
    const raw: Capabilities = { bounding: ['CAP_NET_RAW'], permitted: ['CAP_NET_RAW'] };
    expect(by(0, raw)).toEqual([NONE, NET_RAW, NET_RAW, NET_RAW, NONE]);
    const ambient: Capabilities = {
      ...raw,
      inheritable: ['CAP_NET_RAW'],
      ambient: ['CAP_NET_RAW'],
    };
    expect(by(1000, ambient)).toEqual([NET_RAW, NET_RAW, NET_RAW, NET_RAW, NET_RAW]);
  });
});

test.each(ENGINES)('%s takes the names of capabilities as people write them', (engine) => {
  const id = containerOf(engine, withCapabilities(GIVEN));
  const all = BOUNDING | NET_ADMIN | (1n << 21n);
  expect(sets(engine, id, ['-c', 'net_admin', '-c', 'CAP_SYS_ADMIN'])).toEqual([
    NONE,
    all,
    all,
    all,
    NONE,
  ]);
});
