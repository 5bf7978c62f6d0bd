import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { findHierarchy, ownCgroup, unifiedPath } from '../../../runtime/cgroups/hierarchy.ts';

import { capable, type Edit, linuxOf } from '../../helpers/container.ts';
import { bundleOf, cleanUp, ENGINES, newId, running, scow, scowWords } from '../../helpers/scow.ts';

/** Makes a device and opens it, which the rules of its cgroup forbid: the kernel may not have it. */
const OPEN = 'mknod /dev/disk b 7 0 && true < /dev/disk';
const REFUSED = /\/dev\/disk: Operation not permitted/;

const refuseDevices: Edit = (config) => {
  capable('CAP_MKNOD')(config);
  linuxOf(config).resources = { devices: [{ allow: false, access: 'rwm' }] };
};

// Once cgroup.kill was written in a cgroup, the kernel (seen on 6.12 and 6.18) kills what clone3
// puts into it at birth, and what is cloned from it into another.
describe.each(ENGINES)('a cgroup that was killed before (%s)', (engine) => {
  const hierarchy = findHierarchy();
  const name = join(ownCgroup(hierarchy), `scow-killed-${process.pid}-${engine}`);
  const cgroup = Cgroup.at(join(hierarchy.mountPoint, name));
  beforeEach(() => {
    mkdirSync(cgroup.path);
    cgroup.kill();
  });
  afterEach(() => {
    cleanUp();
    cgroup.remove();
  });

  function stateOf(id: string): { status: string; pid: number } {
    const { stdout, stderr, status } = scow(['state', id], { engine });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return JSON.parse(stdout);
  }

  function cgroupOf(pid: number): string {
    return unifiedPath(readFileSync(`/proc/${pid}/cgroup`, 'utf8'));
  }

  test('takes a container that names it', () => {
    const bundle = bundleOf((config) => {
      running('sleep', '1000')(config);
      refuseDevices(config);
      if (config.linux !== undefined) config.linux.cgroupsPath = name;
    });
    const id = newId();
    const created = scow(['create', '--bundle', bundle, id], { engine });
    expect(created).toMatchObject({ stderr: '', status: 0 });
    const { status, pid } = stateOf(id);
    expect(status).toBe('created');
    expect(cgroupOf(pid)).toBe(name);
    expect(scow(['start', id], { engine })).toMatchObject({ stderr: '', status: 0 });
    expect(stateOf(id)).toMatchObject({ status: 'running', pid });
    expect(scow(['exec', id, 'sh', '-c', OPEN], { engine }).stderr).toMatch(REFUSED);
  });

  test('does not keep scow, who is in it, from making containers elsewhere', () => {
    const bundle = bundleOf((config) => {
      running('sh', '-c', `cat /proc/self/cgroup; ${OPEN} || true`)(config);
      refuseDevices(config);
      if (config.linux?.namespaces !== undefined)
        config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== 'cgroup');
    });
    const id = newId();
    const command = [...scowWords(engine), 'run', '--bundle', bundle, id];
    const script = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    const { stdout, stderr, status } = spawnSync('sh', ['-c', script, cgroup.path, ...command], {
      encoding: 'utf8',
    });
    expect({ stderr, status }).toEqual({ stderr: expect.stringMatching(REFUSED), status: 0 });
    const inside = unifiedPath(stdout);
    expect(inside.split('/').at(-1)).toBe(id);
  });
});
