/** Every call that init makes fails in turn, and every one kills it: `create` tells, and cleans up. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { keysOf } from '../helpers/json-edit.ts';
import { listenForTerminals } from '../helpers/recvtty.ts';
import {
  cleanUp,
  type EditableConfig,
  ENGINES,
  type Engine,
  running,
  testDirectory,
} from '../helpers/scow.ts';
import { atEach, buildFaulty, type Point, Workplace } from './faulty.ts';

let server: Server | undefined;

beforeAll(buildFaulty);
afterEach(() => {
  server?.close();
  server = undefined;
  cleanUp();
});

type Edit = (config: Config) => void;
type Config = EditableConfig & Required<Pick<EditableConfig, 'process' | 'linux' | 'mounts'>>;

/** Something of every concern that init has. */
const RICH: Edit = ({ process, linux, mounts, root }) => {
  if (root) root.readonly = true;
  process.cwd = '/new/directory';
  process.user = { uid: 7, gid: 8, additionalGids: [9], umask: 0o27 };
  process.capabilities = {
    bounding: ['CAP_SETUID', 'CAP_KILL'],
    permitted: ['CAP_SETUID', 'CAP_KILL'],
    effective: ['CAP_KILL'],
    inheritable: ['CAP_KILL'],
    ambient: ['CAP_KILL'],
  };
  process.noNewPrivileges = true;
  process.oomScoreAdj = 500;
  mounts.push(
    { destination: '/data', type: 'bind', source: '/proc/version', options: ['bind', 'ro'] },
    { destination: '/more', type: 'tmpfs', source: 'tmpfs', options: ['size=64k', 'noexec'] },
    { destination: '/tree', type: 'bind', source: '/sys/kernel', options: ['rbind', 'rslave'] },
  );
  linux.devices = [
    { path: '/dev/fuse', type: 'c', major: 10, minor: 229, fileMode: 0o640, uid: 7, gid: 8 },
    { path: '/dev/pipe', type: 'p' },
  ];
  linux.sysctl = { 'net.ipv4.ip_default_ttl': '77' };
  linux.maskedPaths = ['/proc/keys', '/sys/firmware', '/none'];
  linux.readonlyPaths = ['/proc/sys', '/none'];
  linux.rootfsPropagation = 'slave';
};

/** The same in a user namespace, with a terminal. */
const OTHER: Edit = (config) => {
  RICH(config);
  config.linux.namespaces?.push({ type: 'user' });
  config.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  config.linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  config.linux.devices = [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229 }];
  config.process.terminal = true;
  config.process.consoleSize = { width: 80, height: 25 };
};

/** Takes terminals, and lets go of them. */
async function consoleSocket(): Promise<string> {
  const path = join(testDirectory(), 'console');
  server = await listenForTerminals(path);
  return path;
}

/** Whether a JSON pointer leads to a value, or to the place of one that was left out. */
function leadsSomewhere(config: unknown, pointer: string): boolean {
  let value = config;
  for (const name of keysOf(pointer).slice(0, -1)) {
    if (typeof value !== 'object' || value === null) return false;
    value = (value as Record<string, unknown>)[name];
  }
  return typeof value === 'object';
}

/** One after another, capabilities are dropped from the bounding set: two of them tell enough. */
const DROPS = 'prctl';

interface Try {
  readonly point: Point;
  readonly outcome: 'EIO' | 'KILL';
}

/** What is said of an init that a call fails in, or kills. */
function expectClear({ point, outcome }: Try, stderr: string, config: unknown): void {
  const first = point.call === 'mmap';
  if (first) expect(stderr).toMatch(/^scow: init [^\n]+ before its first step\n$/);
  else if (outcome === 'KILL')
    expect(stderr).toMatch(/^scow: init was killed by SIGSEGV while it was to [^\n]+\n$/);
  else expect(stderr).toMatch(/^scow: cannot [^\n]+\n$/);
  if (!first && outcome === 'EIO' && point.call !== 'check')
    expect(stderr).toMatch(/: input\/output error \(EIO\)/);
  const pointer = /\[(\/[^\]]*)\]\n$/.exec(stderr)?.[1];
  if (pointer !== undefined) expect(leadsSomewhere(config, pointer)).toBe(true);
}

async function failAll(engine: Engine, edit: Edit, sample: number): Promise<void> {
  const whole = (config: EditableConfig) => {
    running('sleep', '1000')(config);
    edit(config as Config);
  };
  const workplaces = [new Workplace(engine, whole), new Workplace(engine, whole)] as const;
  const [first] = workplaces;
  const config = JSON.parse(readFileSync(join(first.bundle, 'config.json'), 'utf8'));
  const flags = config.process.terminal ? ['--console-socket', await consoleSocket()] : [];
  const create = (at: Workplace) => ['create', ...flags, '-b', at.bundle, at.id];
  for (const at of workplaces) {
    // As the owner in the user namespace.
    spawnSync('chown', ['-hR', '100000:100000', join(at.bundle, 'rootfs')]);
    await at.must(...create(at));
    await at.delete();
    at.settle();
  }
  const points = (await first.pointsOf(create(first)))
    .filter(({ place }) => place === 'init')
    .filter(
      (_, i, all) => !all.slice(Math.max(0, i - 1), i + 2).every(({ call }) => call === DROPS),
    );
  await first.delete();
  const tries = points.flatMap((point): Try[] => [
    { point, outcome: 'EIO' },
    ...(point.number % 8 === 1 ? [{ point, outcome: 'KILL' } as const] : []),
  ]);
  const chosen = tries.filter((_, i) => i % sample === 0);
  let failed = 0;
  await atEach(workplaces, chosen, async (one, at) => {
    const { status, stderr } = await at.runWith(one.point, one.outcome, create(at));
    if (status === 1) {
      expectClear(one, stderr, config);
      failed++;
    } else {
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      // It comes after the start, or in a list that was not tried, or may fail.
      const start = await at.run(['start', at.id]);
      if (start.status !== 0)
        expect(start.stderr).toMatch(/^scow: cannot (execute|start) [^\n]+\n$/);
      await at.delete();
    }
    at.expectNothing();
  });
  if (sample === 1) expect(failed).toBeGreaterThan(0.7 * chosen.length);
}

describe.each(ENGINES)('init (%s)', (engine) => {
  const sample = engine === 'bun' ? 1 : 30;
  test('at each call', () => failAll(engine, RICH, sample), 600_000);
  test('in a user namespace, with a terminal', () => failAll(engine, OTHER, sample * 3), 600_000);
});
