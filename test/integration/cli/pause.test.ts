/** `pause` and `resume`, seen from the kernel. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { startTimeOf } from '../../../runtime/container/process.ts';
import { ContainerStore } from '../../../runtime/container/store.ts';
import {
  bundleOf,
  cleanUp,
  ENGINES,
  eventually,
  newId,
  rootOf,
  running,
  scow,
  startScow,
  stateOf,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

const COUNT = running('sh', '-c', '(while :; do echo; done >/dev/null) & while :; do echo; done');

describe.each(ENGINES)('under %s', (engine) => {
  const done = (...args: string[]) =>
    expect({ args, ...scow(args, { engine }) }).toMatchObject({ args, status: 0, stderr: '' });
  const refused = (...args: string[]) => {
    const { status, stdout, stderr } = scow(args, { engine });
    expect({ args, status, stdout }).toEqual({ args, status: 1, stdout: '' });
    return stderr;
  };

  it('every process of a paused container stands still until it is resumed', async () => {
    const id = newId();
    done('run', '-d', '--bundle', bundleOf(COUNT), id);
    const { cgroup, pid } = stateOf(id);
    const group = Cgroup.at(cgroup ?? '');
    await eventually(() => group.processes({ recursive: true }).length === 2);
    const ticks = () =>
      group
        .processes({ recursive: true })
        .map((one) => readFileSync(`/proc/${one}/stat`, 'latin1').split(' ').slice(13, 15));
    done('pause', id);
    expect(readFileSync(join(group.path, 'cgroup.events'), 'latin1')).toContain('frozen 1');
    const paused = ticks();
    spawnSync('sleep', ['0.1']);
    expect(ticks()).toEqual(paused);
    expect(refused('pause', id)).toBe(`scow: container not running: "${id}" is paused\n`);
    done('resume', id);
    expect(readFileSync(join(group.path, 'cgroup.events'), 'latin1')).toContain('frozen 0');
    await eventually(() => JSON.stringify(ticks()) !== JSON.stringify(paused));
    expect(refused('resume', id)).toBe(`scow: container not paused: "${id}" is running\n`);
    expect(stateOf(id).pid).toBe(pid);
  });

  it('what is frozen from above cannot be resumed, and is told why', () => {
    const id = newId();
    const bundle = bundleOf((config) => {
      COUNT(config);
      if (config.linux) config.linux.cgroupsPath = `${newId()}/inner`;
    });
    done('run', '-d', '--bundle', bundle, id);
    const outer = Cgroup.at(join(stateOf(id).cgroup ?? '', '..'));
    done('pause', id);
    outer.freeze();
    expect(refused('resume', id)).toBe(
      `scow: cgroup ${stateOf(id).cgroup} stays frozen, because ${outer.path} above it is frozen\n`,
    );
    outer.thaw();
    expect(JSON.parse(scow(['state', id], { engine }).stdout).status).toBe('running');
    done('delete', '--force', id);
    outer.remove();
  });

  it('one that was never started is ended by a signal all the same', async () => {
    const id = newId();
    done('create', '--bundle', bundleOf(COUNT), id);
    done('pause', id);
    done('kill', id, 'TERM');
    await eventually(() => startTimeOf(stateOf(id).pid) === undefined);
    done('delete', id);
  });

  it('without a cgroup of its own a container cannot be paused', () => {
    const id = newId();
    done('create', '--bundle', bundleOf(COUNT), id);
    const store = new ContainerStore(rootOf('scow'));
    const state = store.read(id);
    store.write({ ...state, cgroup: null });
    expect(refused('pause', id)).toBe(
      `scow: cannot pause container "${id}": it has no cgroup of its own ` +
        '(an ordinary user has none without delegation, systemd: Delegate=yes)\n',
    );
    store.write(state);
  });

  it('a start that is under way is not disturbed', async () => {
    const id = newId();
    done('create', '--bundle', bundleOf(COUNT), id);
    const ends = ['start', 'pause'].map((name) => startScow([name, id], { engine }).ended);
    const [started, paused] = await Promise.all(ends);
    // Whoever was first: a paused container is not started, a started one can be paused.
    expect(paused?.status).toBe(0);
    const group = stateOf(id).cgroup ?? '';
    expect(readFileSync(join(group, 'cgroup.events'), 'latin1')).toContain('frozen 1');
    done('resume', id);
    const { status } = JSON.parse(scow(['state', id], { engine }).stdout);
    expect(status).toBe(started?.status === 0 ? 'running' : 'created');
  });
});
