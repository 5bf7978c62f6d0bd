import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findHierarchy } from '../../../runtime/cgroups/hierarchy.ts';
import {
  bundleOf,
  cleanUp,
  ENGINES,
  type Engine,
  newId,
  rootOf,
  running,
  scow,
  startScow,
  testDirectory,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

const { mountPoint } = findHierarchy();
const pages = (limit: number) => ({ hugepageLimits: [{ pageSize: '2MB', limit }] });

function start(engine: Engine): string {
  const id = newId();
  const bundle = bundleOf((config) => {
    running('sleep', '1000')(config);
    Object.assign(config.linux ?? {}, { cgroupsPath: `/${id}`, resources: pages(8388608) });
  });
  expect(scow(['run', '--detach', '--bundle', bundle, id], { engine })).toMatchObject({
    status: 0,
  });
  return id;
}

const pagesOf = (id: string) =>
  Number(readFileSync(join(mountPoint, id, 'hugetlb.2MB.max'), 'latin1'));

describe.each(ENGINES)('scow update and events under %s', (engine) => {
  test('new limits from a file and from stdin are in force, and kept', () => {
    const id = start(engine);
    expect(pagesOf(id)).toBe(8388608);
    const input = JSON.stringify({ ...pages(4194304), unified: { 'cgroup.max.depth': '7' } });
    expect(scow(['update', '-r', '-', id], { engine, input })).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(pagesOf(id)).toBe(4194304);
    const file = join(testDirectory(), 'resources.json');
    writeFileSync(file, JSON.stringify(pages(2 ** 53 + 2)).replace('54740994', '54740993'));
    expect(scow(['update', '--resources', file, id], { engine }).status).toBe(0);
    const kept = readFileSync(join(rootOf('scow'), id, 'config.json'), 'utf8');
    // What was not mentioned stays; what no double can hold keeps its digits.
    expect(kept).toContain('"cgroup.max.depth":"7"');
    expect(kept).toContain('"limit":9007199254740993');
  });

  test('what is wrong is refused with its place, and changes nothing', () => {
    const id = start(engine);
    const refused = (args: string[], input = '') => {
      const { status, stderr } = scow(['update', ...args, id], { engine, input });
      expect(status).toBe(1);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      return stderr;
    };
    expect(refused(['-r', '-'], '{"memory":{"limit":"1"}}')).toMatch(
      'standard input: /linux/resources/memory/limit: "1"; allowed: an integer',
    );
    expect(refused(['-r', '-'], 'x')).toMatch('standard input: not JSON: line 1');
    expect(refused(['-r', '/nowhere'])).toMatch('cannot read /nowhere: no such file');
    expect(refused([])).toMatch('there is nothing to update');
    expect(refused(['--memory', '5x'])).toMatch('--memory 5x: give an integer');
    expect(refused(['--memory', '2m', '--memory-swap', '1m'])).toMatch(/memory\/swap .*2097152/);
    expect(refused(['--cpu-rt-period', '1'])).toMatch('/linux/resources/cpu/realtimePeriod');
    expect(refused(['--l3-cache-schema', 'L3:0=f'])).toMatch('no class of service of its own');
    const half = { ...pages(4194304), unified: { 'cgroup.max.depth': 'deep' } };
    expect(refused(['-r', '-'], JSON.stringify(half))).toMatch('/unified/cgroup.max.depth');
    expect(pagesOf(id)).toBe(8388608);
  });

  test('a stopped container cannot be updated', () => {
    const id = start(engine);
    scow(['kill', id, 'KILL'], { engine });
    scow(['stop', id], { engine });
    const { status, stderr } = scow(['update', '--pids-limit', '5', id], { engine });
    expect([status, stderr]).toEqual([1, expect.stringContaining('container not running')]);
  });

  test('statistics come once, or again and again until the container ends', async () => {
    const id = start(engine);
    const once_ = JSON.parse(scow(['events', '--stats', id], { engine }).stdout);
    expect(once_).toMatchObject({ type: 'stats', id, data: { hugetlb: { '2MB': { usage: 0 } } } });
    expect(once_.data.pids.current).toBe(1);
    expect(once_.data.cpu.usage.total).toBeGreaterThan(0);
    const { child } = startScow(['events', '--interval', '50ms', id], {
      engine,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    let killed = false;
    child.stdout?.on('data', (bytes) => {
      text += bytes;
      // Several lines may come at once.
      if (killed || text.split('\n').length < 4) return;
      killed = true;
      scow(['kill', id, 'KILL'], { engine });
    });
    const [status] = await once(child, 'close');
    expect(status).toBe(0);
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.length).toBeGreaterThanOrEqual(3);
    for (const line of lines) expect(line).toMatchObject({ type: 'stats', id });
  });
});
