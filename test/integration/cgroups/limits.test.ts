import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findHierarchy } from '../../../runtime/cgroups/hierarchy.ts';
import type { Resources } from '../../../schemas/resources-config.ts';
import { bundleOf, cleanUp, ENGINES, newId, scow } from '../../helpers/scow.ts';

afterEach(cleanUp);

/** A resource by the name of its controller: what asks for it, and what its file then says. */
const RESOURCES: Record<string, { ask: Resources; file: string; value: string }> = {
  memory: { ask: { memory: { limit: 67108864 } }, file: 'memory.max', value: '67108864' },
  cpu: { ask: { cpu: { quota: 50000, period: 200000 } }, file: 'cpu.max', value: '50000 200000' },
  cpuset: { ask: { cpu: { cpus: '0' } }, file: 'cpuset.cpus', value: '0' },
  pids: { ask: { pids: { limit: 20 } }, file: 'pids.max', value: '20' },
  hugetlb: {
    ask: { hugepageLimits: [{ pageSize: '2MB', limit: 4194304 }] },
    file: 'hugetlb.2MB.max',
    value: '4194304',
  },
  io: { ask: { unified: { 'io.weight': 'default 50' } }, file: 'io.weight', value: 'default 50' },
};

const { mountPoint } = findHierarchy();
const there = readFileSync(join(mountPoint, 'cgroup.controllers'), 'latin1').trim().split(' ');

/** Creates a container with such resources. */
function create(resources: Resources, engine: (typeof ENGINES)[number]) {
  const id = newId();
  const bundle = bundleOf((config) => {
    if (config.linux !== undefined) {
      config.linux.cgroupsPath = `/${id}`;
      Object.assign(config.linux, { resources });
    }
  });
  return { id, result: scow(['create', '--bundle', bundle, id], { engine }) };
}

describe.each(ENGINES)('limits under %s', (engine) => {
  test('what the machine has a controller for is in the files of the cgroup', () => {
    const present = Object.entries(RESOURCES).filter(([name]) => there.includes(name));
    expect(present.length).toBeGreaterThan(0);
    const ask = Object.assign({}, ...present.map(([, { ask: part }]) => part)) as Resources;
    const { id, result } = create(ask, engine);
    expect(result).toMatchObject({ status: 0, stderr: '' });
    const found = Object.fromEntries(
      present.map(([name, { file }]) => [
        name,
        readFileSync(join(mountPoint, id, file), 'latin1').trim(),
      ]),
    );
    // An assignment of `cpu` by the controller cpuset replaces the other’s.
    const expected = present.filter(([name]) => name !== 'cpu' || !there.includes('cpuset'));
    for (const [name, { value }] of expected) expect(found[name]).toBe(value);
  });

  test('without its controller a limit is an error that names controller, file and field', () => {
    const absent = Object.entries(RESOURCES).filter(([name]) => !there.includes(name));
    for (const [name, { ask, file }] of absent) {
      const { id, result } = create(ask, engine);
      expect(result.status).toBe(1);
      expect(result.stderr).toMatch(`cannot set ${file} of cgroup ${join(mountPoint, id)}: `);
      expect(result.stderr).toMatch(
        `the ${name} controller is not enabled in ${mountPoint}/cgroup`,
      );
      expect(result.stderr).toMatch(/ {2}\[\/linux\/resources\/[^\]]+\]\n$/);
      expect(existsSync(join(mountPoint, id))).toBe(false);
    }
  });

  test('a value that the kernel refuses is named, and nothing is left', () => {
    const { id, result } = create({ hugepageLimits: [{ pageSize: '3MB', limit: 1 }] }, engine);
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(
      /hugetlb\.3MB\.max.*\[\/linux\/resources\/hugepageLimits\/0\]\n$/,
    );
    expect(existsSync(join(mountPoint, id))).toBe(false);
  });
});
