/** `ps`: which processes it shows, and how. */
import { mkdirSync, readFileSync } from 'node:fs';
import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { startTimeOf } from '../../../runtime/container/process.ts';
import { ContainerStore } from '../../../runtime/container/store.ts';
import {
  bundleOf,
  cleanUp,
  type EditableConfig,
  ENGINES,
  eventually,
  newId,
  rootOf,
  runc,
  running,
  scow,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

const THREE = running('sh', '-c', 'sleep 1001 & sleep 1002 & exec sleep 1000');

const store = () => new ContainerStore(rootOf('scow'));
const groupOf = (id: string) => Cgroup.at(store().read(id).cgroup ?? '');

/** Has scow take a container for one whose cgroup could not be made. */
function withoutCgroup(id: string, act: () => void): void {
  const state = store().read(id);
  store().write({ ...state, cgroup: null });
  try {
    act();
  } finally {
    store().write(state);
  }
}

describe.each(ENGINES)('under %s', (engine) => {
  const output = (...args: string[]) => {
    const { status, stdout, stderr } = scow(args, { engine });
    expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
    return stdout;
  };
  const refused = (args: string[], env?: NodeJS.ProcessEnv) => {
    const { status, stdout, stderr } = scow(args, { engine, ...(env && { env }) });
    expect({ args, status, stdout }).toEqual({ args, status: 1, stdout: '' });
    return stderr;
  };
  const runs = async (edit: (config: EditableConfig) => void, count: number) => {
    const id = newId();
    output('run', '-d', '--bundle', bundleOf(edit), id);
    await eventually(() => groupOf(id).processes({ recursive: true }).length === count);
    return id;
  };

  it('shows the processes of a container as ps(1) shows them', async () => {
    const id = await runs(THREE, 3);
    const pids = groupOf(id).processes({ recursive: true });
    const commandOf = (pid: number) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
    await eventually(() => pids.every((pid) => commandOf(pid).startsWith('sleep ')));
    const commands = pids.map(commandOf);
    expect(JSON.parse(output('ps', '--format', 'json', id))).toEqual(pids);
    const [head, ...lines] = output('ps', id).trimEnd().split('\n');
    expect(head).toMatch(/^UID +PID +PPID +C STIME TTY +TIME CMD$/);
    expect(lines.map((line) => Number(line.split(/\s+/)[1]))).toEqual(pids);
    for (const options of [
      '-o pid,args',
      '-o args,pid',
      'axo lstart,pid,args',
      '-eo comm,pid,args',
    ]) {
      const text = output('ps', id, ...options.split(' '));
      const [, ...rows] = text.trimEnd().split('\n');
      expect({ options, count: rows.length }).toEqual({ options, count: 3 });
      for (const [i, command] of commands.entries()) {
        expect(rows[i]).toContain(command);
        expect(rows[i]).toMatch(new RegExp(`\\b${pids[i]}\\b`));
      }
    }
  });

  it('prints what runc prints', async () => {
    const id = newId();
    const bundle = bundleOf(running('sleep', '1000'));
    const shapes: unknown[] = [];
    for (const run of [runc, scow]) {
      run(['run', '-d', '--bundle', bundle, id], { engine });
      const { pid } = JSON.parse(run(['state', id], { engine }).stdout);
      // runc is back before the program is executed.
      await eventually(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep'));
      const texts = ['', '-f json', '-ef', 'aux', '-o pid,args'].map((words) => {
        const [flags, options] = words === '-f json' ? [words, ''] : ['', words];
        const args = `ps ${flags} ${id} ${options}`.split(' ').filter(Boolean);
        const { status, stdout, stderr } = run(args, { engine });
        // What differs: PIDs, times, memory, and with them the width of columns.
        return {
          args,
          status,
          stderr,
          stdout: stdout.replaceAll(/[\d:.]+/g, 'N').replaceAll(/ +/g, ' '),
        };
      });
      run(['delete', '-f', id], { engine });
      shapes.push(texts);
    }
    expect(shapes[1]).toEqual(shapes[0]);
  });

  it('sees cgroups that the container made, and one that waits for its start', async () => {
    const id = newId();
    output('create', '--bundle', bundleOf(THREE), id);
    const { pid } = store().read(id);
    expect(JSON.parse(output('ps', '-f', 'json', id))).toEqual([pid]);
    output('start', id);
    await eventually(() => groupOf(id).processes({ recursive: true }).length === 3);
    const inner = Cgroup.at(`${groupOf(id).path}/inner`);
    mkdirSync(inner.path);
    inner.addProcess(pid);
    expect(JSON.parse(output('ps', '-f', 'json', id)).sort()).toEqual(
      groupOf(id).processes({ recursive: true }).sort(),
    );
    expect(JSON.parse(output('ps', '-f', 'json', id))).toContain(pid);
  });

  it('knows them by the PID namespace where there is no cgroup', async () => {
    const nested = 'sleep 1001 & unshare -p -f sleep 1002 & exec sleep 1000';
    const id = await runs((config) => {
      running('sh', '-c', nested)(config);
      const sets = config.process?.capabilities ?? {};
      sets.bounding = sets.permitted = sets.effective = ['CAP_SYS_ADMIN'];
    }, 4);
    const pids = groupOf(id).processes({ recursive: true });
    withoutCgroup(id, () => {
      expect(JSON.parse(output('ps', '-f', 'json', id)).sort()).toEqual(pids.toSorted());
      output('kill', '--all', id, 'KILL');
    });
    await eventually(() => pids.every((pid) => startTimeOf(pid) === undefined));
    withoutCgroup(id, () => expect(output('ps', '-f', 'json', id)).toBe('null\n'));
  });

  it('says so when nothing tells them apart', async () => {
    const id = await runs((config) => {
      THREE(config);
      const linux = config.linux ?? {};
      linux.namespaces = linux.namespaces?.filter(({ type }) => type !== 'pid') ?? [];
    }, 3);
    withoutCgroup(id, () => {
      const told =
        `scow: cannot tell which processes are of container "${id}": ` +
        'it has no cgroup and no PID namespace of its own\n';
      expect(refused(['ps', id])).toBe(told);
      expect(refused(['kill', '--all', id, 'TERM'])).toBe(told);
    });
    output('kill', id, 'KILL');
  });

  it('says what is wrong with ps(1) or its options', async () => {
    const id = await runs(running('sleep', '1000'), 1);
    expect(refused(['ps', id, '-o', 'args'])).toMatch(
      /^scow: ps\(1\) shows no column PID, [^\n]*: add it, as in -o pid,args\n$/,
    );
    expect(refused(['ps', id, '--bogus', 'x'])).toMatch(
      /^scow: ps --bogus x failed \(status 1\): error: [^\n]+\n$/,
    );
    expect(refused(['ps', id], { PATH: '/does/not/exist' })).toBe(
      'scow: ps(1) is missing: install procps (Debian) or procps-ng (Fedora), or use --format json\n',
    );
  });
});
